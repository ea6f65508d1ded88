// One WebSocket to the board: reconnects by itself, notices a silent line, drops what it has already seen.

const PING_MS = 1_500;
const SILENT_MS = 4_000; // a line with no answer this long is lost: said within five seconds
const RETRY_MS = [1_000, 10_000];

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
    this.answers = false; // until a first pong came, silence proves nothing
    this.timer = setInterval(() => this.beat(), PING_MS);
    socket.onopen = () => {
      this.send({ type: "hello", last_event_id: this.lastId });
      this.beat();
    };
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = () => this.lose();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  beat() {
    if (this.answers && performance.now() - this.heard > SILENT_MS) {
      this.lose();
      return;
    }
    this.pinged = performance.now();
    this.send({ type: "ping" });
  }

  receive(frame) {
    this.heard = performance.now();
    if (frame.type === "pong") this.answers = true;
    const lag = frame.type === "pong" ? (this.heard - this.pinged) / 2 : 0;
    if (frame.type === "hello") {
      this.tries = 0;
      if (frame.id < this.lastId) {
        this.lastId = frame.id; // another market, or a log begun anew
        this.listener.onFrame({ type: "resync" });
      }
    } else if (frame.id) {
      if (frame.id <= this.lastId) return;
      this.lastId = frame.id;
    }
    this.listener.onFrame(frame, lag);
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
