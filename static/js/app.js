import htmx from "htmx.org";
import { Board } from "./board.js";
import { listenToKeys, listenToSearch } from "./keys.js";
import { explainPasskeys } from "./passkeys.js";

window.htmx = htmx;
listenToKeys();
listenToSearch();
explainPasskeys();
if (document.body.dataset.socket) new Board(document.body);
