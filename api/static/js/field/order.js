// In which order to do the open tasks: by limit, by a short way from here, or as their owner put them.
export function metresApart(a, b) {
  const rad = Math.PI / 180;
  const x = (b.lon - a.lon) * rad * Math.cos(((a.lat + b.lat) / 2) * rad);
  const y = (b.lat - a.lat) * rad;
  return Math.hypot(x, y) * 6371008.8;
}

const place = (task) => task.incident.location;

/** A short way through all places, beginning here: nearest next, then crossings of the way taken out (2-opt). */
export function shortWay(me, tasks) {
  const left = tasks.filter(place);
  const way = [];
  for (let at = me; left.length; at = place(way[way.length - 1])) {
    let best = 0;
    for (let i = 1; i < left.length; i += 1) if (metresApart(at, place(left[i])) < metresApart(at, place(left[best]))) best = i;
    way.push(...left.splice(best, 1));
  }
  const at = (i) => (i < 0 ? me : place(way[i]));
  for (let better = true, rounds = 0; better && rounds < 20; rounds += 1) {
    better = false;
    for (let i = 0; i < way.length - 1; i += 1) {
      for (let j = i + 1; j < way.length; j += 1) {
        const tail = j + 1 < way.length;
        const now = metresApart(at(i - 1), at(i)) + (tail ? metresApart(at(j), at(j + 1)) : 0);
        const then = metresApart(at(i - 1), at(j)) + (tail ? metresApart(at(i), at(j + 1)) : 0);
        if (then < now - 0.5) {
          way.splice(i, j - i + 1, ...way.slice(i, j + 1).reverse());
          better = true;
        }
      }
    }
  }
  return [...way, ...tasks.filter((task) => !place(task))];
}

export const byDue = (tasks) => {
  const late = (task) => new Date(task.due_at || task.incident.due_at || "9999-12-31").getTime();
  return [...tasks].sort((a, b) => late(a) - late(b));
};

const key = (account) => `gridward_field_order:${account}`;

/** Those put in order by hand first, in that order; new ones after them, by their limit. */
export function own(account, tasks) {
  const order = JSON.parse(localStorage.getItem(key(account)) || "[]");
  const rank = (task) => (order.includes(task.id) ? order.indexOf(task.id) : order.length);
  return byDue(tasks).sort((a, b) => rank(a) - rank(b));
}

export function moveInOwn(account, tasks, id, step) {
  const ids = own(account, tasks).map((task) => task.id);
  const from = ids.indexOf(id);
  const to = Math.max(0, Math.min(ids.length - 1, from + step));
  ids.splice(to, 0, ...ids.splice(from, 1));
  localStorage.setItem(key(account), JSON.stringify(ids));
}
