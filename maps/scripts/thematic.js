// Drawn inside folium's script: shapes, dots with their clusters, and the slider over time. Plain Leaflet, no network.
window.gridwardThematic = (function () {
  function element(tag, name, text) {
    var made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Text is always text: what a stranger wrote never becomes mark-up.
  function bubble(title, rows) {
    var box = element("div", "bubble");
    if (title) box.append(element("h3", "", title));
    var list = element("dl");
    rows.forEach(function (row) {
      if (row[1] !== "") list.append(element("dt", "", row[0]), element("dd", "", row[1]));
    });
    box.append(list);
    return box;
  }

  function streets(map, data, colour) {
    L.geoJSON(data, { interactive: false, style: { color: colour, weight: 1, opacity: 0.75 } }).addTo(map);
  }

  // Of names that would lie on each other the later one waits until there is room.
  function tidy(map) {
    var taken = [];
    map.getPane("tooltipPane").querySelectorAll(".grid-name").forEach(function (name) {
      var box = name.getBoundingClientRect();
      var hidden = taken.some(function (other) {
        return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
      });
      name.style.visibility = hidden ? "hidden" : "";
      if (!hidden) taken.push(box);
    });
  }

  function shapes(map, data) {
    var labels = data.features.filter(function (f) { return f.properties.label; }).length;
    map.on("zoomend moveend resize", function () { setTimeout(tidy, 0, map); });
    setTimeout(tidy, 100, map);
    return L.geoJSON(data, {
      style: function (feature) {
        var p = feature.properties;
        return { color: p.line, weight: p.width, opacity: 0.9, fill: Boolean(p.fill), fillColor: p.fill || undefined, fillOpacity: 0.66 };
      },
      onEachFeature: function (feature, layer) {
        var p = feature.properties;
        layer.bindPopup(function () { return bubble(p.title, p.rows); }, { maxWidth: 320 });
        if (p.label && labels <= 80) {
          layer.bindTooltip(element("span", "", p.label), { permanent: true, direction: "center", className: "grid-name" });
        }
      },
    }).addTo(map);
  }

  function total(markers) {
    return markers.reduce(function (sum, marker) { return sum + marker.options.n; }, 0);
  }

  function cluster_icon(cluster) {
    var n = total(cluster.getAllChildMarkers());
    var size = n < 10 ? 34 : n < 100 ? 40 : n < 1000 ? 48 : 56;
    return L.divIcon({ className: "", iconSize: [size, size], html: '<div class="count-ring"><span>' + n + "</span></div>" });
  }

  function dot(map, data, row) {
    var n = row[2];
    var marker = L.circleMarker([row[1], row[0]], {
      n: n, radius: n > 1 ? Math.min(26, 5 + Math.sqrt(n) * 1.2) : 7, color: "#ffffff", weight: 1.5,
      fillColor: data.colours[row[3]], fillOpacity: 0.95,
    });
    marker.bindPopup(function () {
      var values = row[6].map(function (at, k) { return [data.labels[k], data.values[at]]; });
      return bubble(row[5], values.length ? values : [[data.count_label, String(n)]]);
    }, { maxWidth: 320 });
    return marker;
  }

  function dots(map, group, data) {
    var target = group || L.layerGroup().addTo(map);
    var made = data.rows.map(function (row) { return [row[4], dot(map, data, row)]; });
    function show(first, last) {
      target.clearLayers();
      var chosen = made.filter(function (one) { return one[0] < 0 || (one[0] >= first && one[0] <= last); })
        .map(function (one) { return one[1]; });
      if (group) group.addLayers(chosen);
      else chosen.forEach(function (marker) { marker.addTo(target); });
      return total(chosen);
    }
    show(0, Infinity);
    return show;
  }

  function slider(map, show, steps, said) {
    var Control = L.Control.extend({
      options: { position: "bottomleft" },
      onAdd: function () {
        var box = element("div", "time-slider leaflet-bar");
        L.DomEvent.disableClickPropagation(box);
        L.DomEvent.disableScrollPropagation(box);
        var play = element("button", "", "▶");
        play.type = "button";
        play.setAttribute("aria-label", said.play);
        play.title = said.play;
        var range = element("input");
        range.type = "range";
        range.min = 0;
        range.max = steps.length;
        range.value = 0;
        range.setAttribute("aria-label", said.slider);
        var words = element("output");
        var timer = 0;
        function draw() {
          var at = Number(range.value);
          var n = at === 0 ? show(0, Infinity) : show(at - 1, at - 1);
          var when = at === 0 ? said.all : steps[at - 1];
          range.setAttribute("aria-valuetext", when);
          words.textContent = when + " · " + said.count.replace("{n}", n);
        }
        function stop() {
          clearInterval(timer);
          timer = 0;
          play.textContent = "▶";
        }
        play.addEventListener("click", function () {
          if (timer) return stop();
          play.textContent = "❚❚";
          timer = setInterval(function () {
            range.value = (Number(range.value) + 1) % (steps.length + 1);
            draw();
            if (Number(range.value) === 0) stop();
          }, 900);
        });
        range.addEventListener("input", function () { stop(); draw(); });
        draw();
        box.append(play, range, words);
        return box;
      },
    });
    map.addControl(new Control());
  }

  return { streets: streets, shapes: shapes, dots: dots, slider: slider, cluster_icon: cluster_icon };
})();
