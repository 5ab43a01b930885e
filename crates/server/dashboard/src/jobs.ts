// Jobs of the server: which run, and what one of them tells.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Job } from "./api";
import { address, go } from "./route";
import { complain, say, Store } from "./store";

/** Jobs that are queued or run, as far as this page knows. */
export const running = new Store<Job[]>([]);
/** Counts up when a job has ended, so that lists load again. */
export const ended = new Store(0);

export function active(job: Job): boolean {
  return job.state === "queued" || job.state === "running";
}

const NAMES: Record<string, string> = {
  sync: "Sync", scan: "Scan", cluster: "Clustering", map: "Map", anomalies: "Outliers",
  verify: "Check of the library", migrate: "Copy", check: "Comparison", gc: "Removal of leftovers",
  eval: "Measure of neighbours", previews: "Previews",
};

/** Where what a job made is seen, and what it is called there. */
export function made({ kind, result }: Job): { href: string; label: string } | null {
  const asked = result !== null && typeof result === "object" ? (result as Record<string, unknown>) : {};
  const query = {
    method: asked.method === "umap" ? null : (asked.method as string | undefined),
    dims: asked.dims === 3 ? 3 : null,
  };
  switch (kind) {
    case "cluster": return { href: address(["insights", "clusters"]), label: "See the clusters" };
    case "map": return { href: address("map", query), label: "See the map" };
    case "anomalies": return { href: address(["insights", "outliers"]), label: "See the outliers" };
    case "scan": return { href: address("library", { sort: "added", desc: true }), label: "See the newest songs" };
    default: return null;
  }
}

export function jobName(kind: string): string {
  return NAMES[kind] ?? kind;
}

// Every few seconds while something runs, and slowly otherwise, because other
// people start jobs too.
const OFTEN = 3000;
const RARELY = 30_000;

/** Looks after `running` until the returned function is called. */
export function watchJobs(): () => void {
  let timer: number | undefined;
  let stopped = false;
  const look = async () => {
    try {
      const all = (await api.jobs()).rows;
      const before = running.value;
      const now = all.filter(active);
      running.set(now);
      for (const job of before) {
        if (now.some((one) => one.id === job.id)) continue;
        const end = all.find((one) => one.id === job.id);
        if (end) tell(end);
      }
    } catch {
      // The page that is shown says so; the badge can wait.
    }
    if (!stopped) timer = window.setTimeout(look, running.value.length > 0 ? OFTEN : RARELY);
  };
  void look();
  const soon = () => {
    clearTimeout(timer);
    timer = window.setTimeout(look, 800);
  };
  nudge = soon;
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

let nudge = (): void => undefined;

function tell(job: Job): void {
  ended.set(ended.value + 1);
  const open = { label: "Show", run: () => go(address(["machines", "jobs"], { job: job.id })) };
  const result = made(job);
  const see = result ? { label: "Show", run: () => go(result.href) } : open;
  if (job.state === "done") say(`${jobName(job.kind)} is done.`, "good", see);
  else if (job.state === "failed") say(`${jobName(job.kind)} failed: ${job.problem?.detail ?? "see the job"}`, "bad", open);
  else say(`${jobName(job.kind)} was cancelled.`, "plain", open);
}

/** Starts a job, and returns it; says what went wrong otherwise. */
export async function start(kind: string, options: Record<string, unknown> = {}): Promise<Job | null> {
  try {
    const job = await api.start(kind, options);
    running.set([...running.value.filter((one) => one.id !== job.id), job]);
    nudge();
    return job;
  } catch (error) {
    complain(error);
    return null;
  }
}

interface Line {
  kind: "item" | "log" | "failed";
  text: string;
}

const LINES = 500;

/** A job as it goes on, with the last lines of its log. */
export function useJob(id: string | null): { job: Job | null; lines: Line[]; lost: boolean } {
  const [job, set] = useState<Job | null>(null);
  const [lost, setLost] = useState(false);
  const lines = useRef<Line[]>([]);
  const [, again] = useState(0);
  useEffect(() => {
    lines.current = [];
    set(null);
    setLost(false);
    if (id === null) return;
    let over = false;
    let timer: number | undefined;
    const look = () => api.job(id).then((now) => {
      if (over) return;
      set(now);
      if (!active(now)) clearInterval(timer);
    }, (error: unknown) => over || complain(error));
    void look();
    const events = api.events(id);
    const log = (kind: Line["kind"]) => (event: MessageEvent<string>) => {
      const data = parse(event.data);
      lines.current = [...lines.current.slice(1 - LINES), { kind: failed(data) ? "failed" : kind, text: line(data) }];
      again((n) => n + 1);
    };
    events.addEventListener("progress", (event) => {
      const progress = parse((event as MessageEvent<string>).data) as Job["progress"];
      set((before) => before && { ...before, state: before.state === "queued" ? "running" : before.state, progress: { ...before.progress, ...progress } });
    });
    events.addEventListener("item", log("item"));
    events.addEventListener("log", log("log"));
    events.addEventListener("end", (event) => {
      events.close();
      set(parse((event as MessageEvent<string>).data) as unknown as Job);
      nudge();
    });
    events.addEventListener("open", () => setLost(false));
    // The browser connects again by itself, and asks for what it has missed; if it
    // was refused, it does not, and the job is asked how it is instead.
    events.addEventListener("error", () => {
      setLost(true);
      if (events.readyState === EventSource.CLOSED) timer ??= window.setInterval(look, 3000);
    });
    return () => {
      over = true;
      clearInterval(timer);
      events.close();
    };
  }, [id]);
  return { job, lines: lines.current, lost };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : { text: String(value) };
  } catch {
    return { text };
  }
}

function failed(data: Record<string, unknown>): boolean {
  return data.type === "failed" || data.reason !== undefined || data.level === "error";
}

function line(data: Record<string, unknown>): string {
  const { type, title, path, subject, item, text, message, reason, id } = data;
  const what = title ?? path ?? subject ?? item ?? text ?? message ?? id;
  const words = [type, what, reason].filter((part) => typeof part === "string" && part !== "");
  return words.length > 0 ? words.join(": ") : JSON.stringify(data);
}
