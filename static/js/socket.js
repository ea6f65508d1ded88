// One WebSocket to the board: reconnects by itself, notices a silent line, drops what it has already seen.

const SILENT_MS = 4_500; // the server breaks its silence every 3 s: later than this the line is lost
const RETRY_MS = [1_000, 10_000];
const RIGHTS_CHANGED = new Set([4401, 4403]);

export class BoardSocket {
  constructor(path, lastId, listener) {
    this.url = new URL(path, location.href);
    this.url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.lastId = lastId;
    this.listener = listener;
    this.tries = 0;
    this.open();
  }

  open() {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.heard = performance.now();
    this.timer = setInterval(() => performance.now() - this.heard > SILENT_MS && this.lose(), 200);
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", last_event_id: this.lastId }));
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => (RIGHTS_CHANGED.has(event.code) ? location.reload() : this.lose());
  }

  receive(frame) {
    this.heard = performance.now();
    if (frame.type === "batch") return frame.frames.forEach((each) => this.receive(each));
    if (frame.type === "hello") this.tries = 0;
    else if (frame.id) {
      if (frame.id <= this.lastId) return undefined;
      this.lastId = frame.id;
    }
    return this.listener.onFrame(frame);
  }

  lose() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.listener.onLost();
    const [low, high] = RETRY_MS;
    const reach = Math.min(high, low * 2 ** ++this.tries);
    setTimeout(() => this.open(), low + Math.random() * (reach - low));
  }
}
