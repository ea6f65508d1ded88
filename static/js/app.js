import htmx from "htmx.org";
import { Board } from "./board.js";
import { listenToKeys, listenToSearch } from "./keys.js";

window.htmx = htmx;
listenToKeys();
listenToSearch();
if (document.body.dataset.socket) new Board(document.body);
