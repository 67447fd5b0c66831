// The resident's page of one report: streets around the mark.
import "./page.js";
import { showStreets } from "./streets.js";

if (window.gridward) showStreets(window.gridward.map);
