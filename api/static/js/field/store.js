// What the phone keeps: the outbox and the last tasks and streets seen, per account.
const NAME = "gridward-field";

let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("outbox", { keyPath: "order", autoIncrement: true });
      asked.result.createObjectStore("kept");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

/** Runs one transaction and waits until it is safely on the disk. */
async function inStore(name, mode, work) {
  const base = await open();
  return new Promise((resolve, reject) => {
    const transaction = base.transaction(name, mode, { durability: "strict" });
    const asked = work(transaction.objectStore(name));
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}

export const addItem = (item) => inStore("outbox", "readwrite", (store) => store.add(item));
export const putItem = (item) => inStore("outbox", "readwrite", (store) => store.put(item));
export const removeItem = (order) => inStore("outbox", "readwrite", (store) => store.delete(order));
export const allItems = () => inStore("outbox", "readonly", (store) => store.getAll());
export const keep = (key, value) => inStore("kept", "readwrite", (store) => store.put(value, key));
export const kept = (key) => inStore("kept", "readonly", (store) => store.get(key));
