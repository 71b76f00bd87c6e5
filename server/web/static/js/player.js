// One video on its stage: where it plays from, play and pause, sound, position, how long it was watched.

import { token } from "./ask.js";

const SOUND = "tributary.sound";
const STREAM_TYPE = "application/vnd.apple.mpegurl";
const DOUBLE_TAP_MS = 260;

// WebKit plays HLS well by itself (it also has ManagedMediaSource); Chromium says "maybe" and is served better by hls.js.
const nativeStream = "ManagedMediaSource" in window || !("MediaSource" in window);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let library;

function loadLibrary() {
  library ??= import("../vendor/hls/hls.light.min.mjs").then((module) => module.default);
  return library;
}

/** Does the viewer want sound? Remembered in this browser; a new viewer starts muted, because browsers insist. */
export const sound = {
  get isOn() {
    return localStorage.getItem(SOUND) === "on";
  },
  set isOn(value) {
    localStorage.setItem(SOUND, value ? "on" : "off");
  },
};

export class Player {
  /** Takes over `.stage` inside `slide`: removes the browser's controls and puts ours to work. */
  constructor(slide, { onDoubleTap } = {}) {
    this.slide = slide;
    this.stage = slide.querySelector("[data-player]");
    this.video = this.stage.querySelector("video");
    this.seek = this.stage.querySelector("[data-seek]");
    this.fallback = this.video.getAttribute("src");
    this.isWanted = false;
    this.isCovered = this.stage.querySelector("[data-uncover]") !== null;
    this.watchedMs = 0;
    this.playingSince = null;
    this.onDoubleTap = onDoubleTap;
    this.video.controls = false;
    this.video.removeAttribute("src");
    this.listen();
    this.showSound();
  }

  listen() {
    const { video, stage } = this;
    video.addEventListener("click", (event) => this.tapped(event));
    video.addEventListener("playing", () => this.started());
    video.addEventListener("pause", () => this.stopped());
    video.addEventListener("waiting", () => stage.classList.add("is-waiting"));
    video.addEventListener("timeupdate", () => this.showPosition());
    video.addEventListener("error", () => this.failed());
    this.seek?.addEventListener("input", () => this.jump());
    stage.querySelector("[data-sound]")?.addEventListener("click", () => this.toggleSound());
    stage.querySelector("[data-uncover]")?.addEventListener("click", () => this.uncover());
  }

  /** Begin to load, so that it can play at once. */
  async prepare() {
    if (this.isReady || this.isCovered) return;
    this.isReady = true;
    const stream = this.stage.dataset.hls;
    if (!stream || (nativeStream && !this.video.canPlayType(STREAM_TYPE))) return this.progressive();
    if (nativeStream) {
      this.video.preload = "auto";
      this.video.src = stream;
      return undefined;
    }
    const Hls = await loadLibrary();
    if (!this.isReady) return undefined;
    if (!Hls.isSupported()) return this.progressive();
    this.hls = new Hls({ maxBufferLength: 10, capLevelToPlayerSize: true, startFragPrefetch: true });
    this.hls.on(Hls.Events.ERROR, (_, problem) => {
      if (problem.fatal) this.progressive();
    });
    this.hls.loadSource(stream);
    this.hls.attachMedia(this.video);
    if (this.isWanted) this.start();
    return undefined;
  }

  /** One MP4 file: for remote videos, and where streaming fails. */
  progressive() {
    this.hls?.destroy();
    this.hls = null;
    if (!this.fallback || this.video.getAttribute("src") === this.fallback) return;
    const at = this.video.currentTime;
    this.video.preload = "auto";
    this.video.src = this.fallback;
    if (at > 0) this.video.currentTime = at;
    if (this.isWanted) this.start();
  }

  /** Play as soon as possible; stays quiet under reduced motion until the viewer asks. */
  play({ asked = false } = {}) {
    this.isWanted = asked || !calm.matches;
    this.prepare();
    if (this.isWanted) this.start();
    else this.stage.classList.add("is-paused");
  }

  async start() {
    if (this.isCovered) return;
    this.video.muted = !sound.isOn;
    this.showSound();
    try {
      await this.video.play();
    } catch (problem) {
      // Sound before the first tap is not allowed: play without. Other refusals: it was paused or released meanwhile.
      if (problem.name === "NotAllowedError" && !this.video.muted) {
        this.video.muted = true;
        this.showSound();
        this.video.play().catch(() => this.stage.classList.add("is-paused"));
      } else if (problem.name === "NotAllowedError") this.stage.classList.add("is-paused");
    }
  }

  pause({ byViewer = false } = {}) {
    this.isWanted = false;
    this.video.pause();
    this.stage.classList.toggle("is-paused", byViewer);
  }

  toggle() {
    if (this.video.paused) this.play({ asked: true });
    else this.pause({ byViewer: true });
  }

  /** The page is hidden: rest, and remember whether to go on. */
  sleep() {
    this.report();
    this.slept = !this.video.paused;
    if (this.slept) this.pause();
  }

  /** The page is seen again: go on if it played, stay still if the viewer had stopped it. */
  wake() {
    if (this.slept) this.play({ asked: true });
    this.slept = false;
  }

  /** Give the memory back; the next `prepare` starts anew. */
  release() {
    this.pause();
    this.report();
    if (!this.isReady) return;
    this.isReady = false;
    this.hls?.destroy();
    this.hls = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  tapped(event) {
    if (this.waitingTap) {
      clearTimeout(this.waitingTap);
      this.waitingTap = null;
      this.onDoubleTap?.(event);
      return;
    }
    if (!this.onDoubleTap) return this.toggle();
    this.waitingTap = setTimeout(() => {
      this.waitingTap = null;
      this.toggle();
    }, DOUBLE_TAP_MS);
    return undefined;
  }

  toggleSound() {
    sound.isOn = this.video.muted;
    this.video.muted = !sound.isOn;
    this.showSound();
  }

  showSound() {
    const isMuted = this.isReady ? this.video.muted : !sound.isOn;
    this.stage.classList.toggle("is-muted", isMuted);
    this.stage.querySelector("[data-sound]")?.setAttribute("aria-pressed", String(!isMuted));
  }

  showPosition() {
    if (!this.seek || !this.video.duration) return;
    const part = this.video.currentTime / this.video.duration;
    if (document.activeElement !== this.seek || !this.video.paused) this.seek.value = String(Math.round(part * 1000));
    this.seek.style.setProperty("--done", `${(part * 100).toFixed(2)}%`);
    this.seek.setAttribute("aria-valuetext", `${Math.round(this.video.currentTime)} of ${Math.round(this.video.duration)} seconds`);
  }

  jump() {
    if (this.video.duration) this.video.currentTime = (Number(this.seek.value) / 1000) * this.video.duration;
  }

  uncover() {
    this.isCovered = false;
    this.stage.querySelector("[data-uncover]").remove();
    this.play({ asked: true });
    this.stage.querySelector("[data-sound]")?.focus();
  }

  started() {
    this.stage.classList.remove("is-waiting", "is-paused");
    this.playingSince ??= performance.now();
  }

  stopped() {
    this.stage.classList.remove("is-waiting");
    if (this.playingSince === null) return;
    this.watchedMs += performance.now() - this.playingSince;
    this.playingSince = null;
  }

  failed() {
    this.stage.classList.remove("is-waiting");
    if (!this.video.getAttribute("src") || this.stage.querySelector(".stage-error")) return;
    const words = document.createElement("p");
    words.className = "stage-error";
    words.setAttribute("role", "alert");
    words.textContent = "This video cannot be played right now. Its server may be away.";
    this.stage.append(words);
  }

  /** Tell the server how long it was watched since the last report. Survives the page being closed. */
  report() {
    if (this.playingSince !== null) {
      const now = performance.now();
      this.watchedMs += now - this.playingSince;
      this.playingSince = now;
    }
    const spent = Math.round(this.watchedMs);
    this.watchedMs = 0;
    if (spent < 250 || !this.slide.dataset.watched) return;
    const form = new FormData();
    form.set("csrfmiddlewaretoken", token());
    form.set("watched_ms", String(spent));
    navigator.sendBeacon(this.slide.dataset.watched, form);
  }
}

/** A heart where the viewer tapped twice. */
export function heartAt(stage, event) {
  const heart = document.createElement("span");
  heart.className = "stage-heart";
  heart.setAttribute("aria-hidden", "true");
  heart.append(stage.closest("[data-slide]").querySelector('[data-verb="like"] .icon').cloneNode(true));
  const box = stage.getBoundingClientRect();
  heart.style.left = `${event.clientX - box.left}px`;
  heart.style.top = `${event.clientY - box.top}px`;
  stage.append(heart);
  setTimeout(() => heart.remove(), 800);
}
