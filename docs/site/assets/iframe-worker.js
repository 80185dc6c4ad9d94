// Browsers start no worker from a file on disk. There the search runs in a hidden frame.
"use strict";
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      this.inside = this.frame.contentWindow;
      this.inside.postMessage = (data) => this.tell(this, data);
      const script = this.inside.document.createElement("script");
      script.addEventListener("load", () => this.begin());
      script.addEventListener("error", () => this.dispatchEvent(new Event("error")));
      script.src = new URL(url, document.baseURI).href;
      this.inside.document.body.appendChild(script);
    }
    begin() {
      this.waiting.forEach((data) => this.tell(this.inside, data));
      this.waiting = null;
    }
    tell(whom, data) {
      const event = new MessageEvent("message", { data });
      setTimeout(() => {
        whom.dispatchEvent(event);
        if (whom === this && this.onmessage) this.onmessage(event);
      });
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.tell(this.inside, data);
    }
    terminate() {
      this.frame.remove();
    }
  };
}
