// Keeps one event stream to the server open: snapshot first, deltas after, reconnecting with growing pauses.
//
// Messages are gathered and handed over once per frame, so that a burst of a thousand events costs one update of the
// page. A silent stream is checked with a plain request: a half-open socket would otherwise look alive forever.
import { api, ApiError, eventsAddress } from '../api/client';
import type { Message } from '../api/types';
import { backoffMs } from './backoff';

const kSilenceMs = 30_000;
const kHiddenFlushMs = 500;

export type Status =
  | { kind: 'connecting' }
  | { kind: 'live' }
  | { kind: 'lost'; retry_at_ms: number }
  | { kind: 'login' };

export interface Listener {
  onMessages(messages: Message[]): void;
  onStatus(status: Status): void;
}

export class Connection {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private retryTimer = 0;
  private silenceTimer = 0;
  private gathered: Message[] = [];
  private flushPlanned = false;
  private refetching = false;
  private stopped = false;

  constructor(private readonly listener: Listener) {}

  start(): void {
    addEventListener('online', this.retryNow);
    document.addEventListener('visibilitychange', this.onVisibility);
    this.open();
  }

  stop(): void {
    this.stopped = true;
    removeEventListener('online', this.retryNow);
    document.removeEventListener('visibilitychange', this.onVisibility);
    clearTimeout(this.retryTimer);
    clearTimeout(this.silenceTimer);
    this.socket?.close();
  }

  /** Skips the rest of a pause. Does nothing while a stream is open or opening. */
  readonly retryNow = (): void => {
    if (this.socket || this.stopped) return;
    clearTimeout(this.retryTimer);
    this.open();
  };

  /** Asks for a fresh snapshot beside the stream, after a gap in the numbers. */
  async refetch(): Promise<void> {
    if (this.refetching) return;
    this.refetching = true;
    try {
      const data = await api.snapshot();
      this.gather({ type: 'snapshot', seq: data.seq, at: Date.now(), data });
    } catch {
      // The stream is of no use without it: start again from its own snapshot.
      this.socket?.close();
    } finally {
      this.refetching = false;
    }
  }

  private readonly onVisibility = (): void => {
    if (document.visibilityState === 'visible') {
      this.flush();
      this.retryNow();
    }
  };

  private open(): void {
    this.listener.onStatus({ kind: 'connecting' });
    const socket = new WebSocket(eventsAddress(location));
    this.socket = socket;
    let heard = false;
    socket.onmessage = (event) => {
      this.watchSilence();
      const message = parse(event.data);
      if (!message) return;
      if (!heard && message.type === 'snapshot') {
        heard = true;
        this.attempt = 0;
        this.listener.onStatus({ kind: 'live' });
      }
      this.gather(message);
    };
    socket.onclose = () => {
      clearTimeout(this.silenceTimer);
      if (this.socket === socket) this.socket = null;
      if (!this.stopped) void this.onLost(heard);
    };
  }

  private async onLost(heard: boolean): Promise<void> {
    const pause = backoffMs(this.attempt++, Math.random());
    this.listener.onStatus({ kind: 'lost', retry_at_ms: Date.now() + pause });
    this.retryTimer = window.setTimeout(this.retryNow, pause);
    if (heard) return;
    // A browser hides why a WebSocket was refused; an ordinary request tells.
    try {
      await api.snapshot();
    } catch (error) {
      if (error instanceof ApiError && error.needsLogin) {
        clearTimeout(this.retryTimer);
        this.listener.onStatus({ kind: 'login' });
      }
    }
  }

  private watchSilence(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = window.setTimeout(() => {
      void this.refetch();
      this.watchSilence();
    }, kSilenceMs);
  }

  private gather(message: Message): void {
    this.gathered.push(message);
    if (this.flushPlanned) return;
    this.flushPlanned = true;
    if (document.visibilityState === 'visible') requestAnimationFrame(this.flush);
    else setTimeout(this.flush, kHiddenFlushMs);
  }

  private readonly flush = (): void => {
    this.flushPlanned = false;
    const messages = this.gathered;
    if (messages.length === 0) return;
    this.gathered = [];
    this.listener.onMessages(messages);
  };
}

function parse(data: unknown): Message | null {
  if (typeof data !== 'string') return null;
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === 'object' && message !== null && 'type' in message ? (message as Message) : null;
  } catch {
    return null;
  }
}
