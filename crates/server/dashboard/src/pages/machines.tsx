// Who shares the library, what syncing would do, what has to be decided, what
// can be restored, and what the server works on.

import { useEffect, useState } from "preact/hooks";
import { api, type Conflicts, type Deleted, type Job, type Plan, type Remote, type Value, type Work } from "../api";
import { active, ended, jobName, start, useJob, made } from "../jobs";
import { address, change, type Route } from "../route";
import { complain, say, useLoad, useStore, useWritable } from "../store";
import { Icon } from "../ui/icon";
import { Confirm, Empty, PageHead, Tabs, Trouble, Waiting } from "../ui/parts";
import { ago, count, number, plain, size, text, when } from "../words";

export function MachinesPage({ route }: { route: Route }) {
  const tab = route.rest[0] ?? "overview";
  const now = useStore(ended);
  const conflicts = useLoad(`conflicts ${now}`, (signal) => api.conflicts(signal));
  const trash = useLoad(`trash ${now}`, (signal) => api.trash(signal));
  const tabs = [
    { value: "overview", label: "Machines", href: "#/machines" },
    { value: "conflicts", label: "Conflicts", href: "#/machines/conflicts", count: conflicts.data?.total },
    { value: "trash", label: "Trash", href: "#/machines/trash", count: trash.data?.total },
    { value: "jobs", label: "Jobs", href: "#/machines/jobs" },
    { value: "health", label: "Health", href: "#/machines/health" },
  ];
  return (
    <div class="machines-page">
      <PageHead title="Machines" />
      <Tabs label="Machines" value={tab} tabs={tabs} />
      {tab === "conflicts" ? <ConflictList loaded={conflicts} />
        : tab === "trash" ? <Trash loaded={trash} />
          : tab === "jobs" ? <Jobs route={route} />
            : tab === "health" ? <Health />
              : <Overview />}
    </div>
  );
}

function Overview() {
  const now = useStore(ended);
  const machines = useLoad(`machines ${now}`, (signal) => api.machines(signal));
  const remotes = useLoad(`remotes ${now}`, (signal) => api.remotes(signal));
  return (
    <>
      <section class="card">
        <h2>Machines that share this library</h2>
        {machines.error && <Trouble problem={machines.error} retry={machines.reload} compact />}
        {!machines.data && !machines.error && <Waiting rows={3} />}
        {machines.data && machines.data.rows.length === 0 && (
          <p class="soft">Only this one so far. A machine appears here once it has synced.</p>
        )}
        {machines.data && machines.data.rows.length > 0 && (
          <ul class="machine-list">
            {machines.data.rows.map((machine) => (
              <li key={machine.id} class={machine.retired ? "retired" : ""}>
                <span class="machine-icon"><Icon name="machines" size={22} /></span>
                <div>
                  <strong dir="auto">{plain(machine.name)}</strong>
                  <span class="soft" title={when(machine.last_seen)}>synced {ago(machine.last_seen)}</span>
                </div>
                <span class="soft">{machine.retired ? "retired" : `songrec ${plain(machine.version)}`}</span>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="card">
        <h2>Sync with</h2>
        {remotes.error && <Trouble problem={remotes.error} retry={remotes.reload} compact />}
        {remotes.data && remotes.data.rows.length === 0 && (
          <p class="soft">
            No other library is configured. Name one in the configuration, as
            <code> songrec help sync</code> says, and it appears here.
          </p>
        )}
        <ul class="plain-list stack">
          {remotes.data?.rows.map((remote) => <RemoteCard key={remote.name} remote={remote} />)}
        </ul>
      </section>
    </>
  );
}

function RemoteCard({ remote }: { remote: Remote }) {
  const [asked, ask] = useState(false);
  const now = useStore(ended);
  const { data, error, busy, reload } = useLoad(asked ? `plan ${remote.name} ${now}` : null, (signal) =>
    api.plan(remote.name, signal));
  const [job, follow] = useState<string | null>(null);
  const [sure, askSure] = useState(false);
  const writable = useWritable();
  const about = [remote.kind, remote.place, remote.is_default ? "the usual one" : ""]
    .map((part) => plain(part ?? "")).filter(Boolean).join(" · ");
  const sync = async () => {
    const started = await start("sync", { with: remote.name });
    if (started) follow(started.id);
  };
  const deletions = (data?.counts.left.delete ?? 0) + (data?.counts.right.delete ?? 0);
  return (
    <li class="remote">
      <div class="line">
        <div>
          <strong dir="auto">{plain(remote.name)}</strong>
          {about && <span class="soft remote-about">{about}</span>}
        </div>
        <span class="spacer" />
        <button type="button" class="button" disabled={busy && asked} onClick={() => (asked ? reload() : ask(true))}>
          {busy && asked ? "Looking…" : asked ? "Look again" : "What would a sync do?"}
        </button>
        {writable && (
          <button type="button" class="button primary" onClick={() => (deletions > 0 ? askSure(true) : void sync())}>
            <Icon name="sync" size={16} /> Sync
          </button>
        )}
      </div>
      {error && <Trouble problem={error} retry={reload} compact />}
      {data && <PlanView plan={data} remote={remote.name} />}
      {job && <JobView id={job} />}
      {sure && (
        <Confirm title={`Sync with ${plain(remote.name)}?`} label="Sync" act={() => void sync()} close={() => askSure(false)}>
          <p>{count(deletions, "song")} would be deleted on one side. Deleted songs stay in the trash for a while.</p>
        </Confirm>
      )}
    </li>
  );
}

const KINDS: { name: keyof Work; label: string }[] = [
  { name: "add", label: "added" },
  { name: "update", label: "updated" },
  { name: "merge", label: "merged" },
  { name: "delete", label: "deleted" },
  { name: "restore", label: "restored" },
];

function PlanView({ plan, remote }: { plan: Plan; remote: string }) {
  const work = (side: Work) => KINDS.reduce((sum, kind) => sum + side[kind.name], 0);
  const nothing = work(plan.counts.left) + work(plan.counts.right) + plan.documents.length === 0;
  if (nothing) {
    return <p class="good line"><Icon name="check" size={16} /> Both sides agree; there is nothing to do.</p>;
  }
  return (
    <div class="plan">
      <table>
        <thead>
          <tr><th scope="col"><span class="unseen-text">Where</span></th>{KINDS.map((kind) => <th key={kind.name} scope="col">{kind.label}</th>)}<th scope="col">to send</th></tr>
        </thead>
        <tbody>
          {([["left", "Here"], ["right", remote]] as const).map(([side, label]) => (
            <tr key={side}>
              <th scope="row" dir="auto">{plain(label)}</th>
              {KINDS.map((kind) => (
                <td key={kind.name} class={plan.counts[side][kind.name] === 0 ? "zero" : kind.name === "delete" ? "bad" : ""}>
                  {number(plan.counts[side][kind.name])}
                </td>
              ))}
              <td>{size(plan.bytes[side])}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <details>
        <summary>{count(plan.songs.length + (plan.left_out?.songs ?? 0), "song")} in detail</summary>
        <ul class="files log">
          {plan.songs.slice(0, 200).map((one) => (
            <li key={one.song}>
              <a href={address(["song", one.song])} dir="auto">{plain(one.title)}</a>
              <span class="soft">
                {[one.left && `${one.left} here`, one.right && `${one.right} at ${plain(remote)}`, one.note && plain(one.note)].filter(Boolean).join("; ")}
              </span>
            </li>
          ))}
        </ul>
      </details>
      {(plan.refused ?? []).map((failure) => (
        <p class="bad" key={failure.subject}>{plain(failure.title)}: {plain(failure.reason)} {plain(failure.hint ?? "")}</p>
      ))}
    </div>
  );
}

type LoadedRows<T> = ReturnType<typeof useLoad<{ rows: T[]; total: number }>>;

function ConflictList({ loaded }: { loaded: LoadedRows<Conflicts> }) {
  const { data, error, reload } = loaded;
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting />;
  if (data.rows.length === 0) {
    return (
      <Empty icon="check" title="Nothing has to be decided">
        <p>When two machines set the same field of a song differently, both values are kept and listed here.</p>
      </Empty>
    );
  }
  return (
    <ul class="plain-list stack">
      {data.rows.map((song) => <ConflictCard key={song.song} song={song} done={reload} />)}
    </ul>
  );
}

function ConflictCard({ song, done }: { song: Conflicts; done: () => void }) {
  const writable = useWritable();
  const [busy, setBusy] = useState(false);
  const choose = async (field: string, value: Value, at?: number) => {
    setBusy(true);
    try {
      await api.resolve(song.song, field, at);
      say(`${field} of “${plain(song.title)}” is “${text(value) || "empty"}” now.`, "good");
      done();
    } catch (error) {
      complain(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <li class="card conflict">
      <h2><a href={address(["song", song.song])} dir="auto">{plain(song.title)}</a></h2>
      {song.conflicts.map((conflict, i) => (
        <div class="choice" key={`${conflict.field} ${i}`} role="group" aria-label={`Which ${conflict.field} is right?`}>
          <span class="choice-field">{conflict.field}</span>
          {[
            { value: conflict.shown, note: "shown now", at: undefined },
            // The server counts them from one, over all fields of the song.
            { value: conflict.other, note: `set ${ago(conflict.set_at)} elsewhere`, at: i + 1 },
          ].map(({ value, note, at }) => (
            <button
              type="button"
              key={note}
              class="option"
              disabled={!writable || busy}
              onClick={() => void choose(conflict.field, value, at)}
            >
              <strong dir="auto">{text(value) || "empty"}</strong>
              <span class="soft">{note}</span>
            </button>
          ))}
        </div>
      ))}
    </li>
  );
}

function Trash({ loaded }: { loaded: LoadedRows<Deleted> }) {
  const { data, error, reload } = loaded;
  const [chosen, choose] = useState<Set<string>>(() => new Set());
  const writable = useWritable();
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting />;
  if (data.rows.length === 0) {
    return <Empty icon="trash" title="The trash is empty"><p>Songs that are forgotten stay here for a while, so that they can be restored.</p></Empty>;
  }
  const restore = async (songs: string[]) => {
    try {
      const done = await api.restore(songs);
      const many = done?.restored?.length ?? songs.length;
      say(`${count(many, "song")} restored.`, "good", songs.length === 1
        ? { label: "Show", run: () => (location.hash = address(["song", songs[0]])) }
        : undefined);
      choose(new Set());
      reload();
    } catch (problem) {
      complain(problem);
    }
  };
  return (
    <>
      {writable && (
        <div class="line">
          <label class="inline">
            <input
              type="checkbox"
              checked={chosen.size === data.rows.length}
              onChange={(event) => choose(new Set(event.currentTarget.checked ? data.rows.map((one) => one.song) : []))}
            />
            All
          </label>
          <button type="button" class="button primary" disabled={chosen.size === 0} onClick={() => void restore([...chosen])}>
            <Icon name="undo" size={16} /> Restore {chosen.size > 0 ? count(chosen.size, "song") : ""}
          </button>
        </div>
      )}
      <ul class="card files trash-list">
        {data.rows.map((one) => (
          <li key={one.song}>
            {writable && (
              <input
                type="checkbox"
                aria-label={`Choose ${plain(one.title)}`}
                checked={chosen.has(one.song)}
                onChange={() => {
                  const next = new Set(chosen);
                  if (!next.delete(one.song)) next.add(one.song);
                  choose(next);
                }}
              />
            )}
            <span class="trash-name">
              <strong dir="auto">{plain(one.title)}</strong>
              <span class="soft path" dir="auto">{plain(one.paths[0] ?? "")}</span>
            </span>
            <span class="soft" title={when(one.deleted_at)}>{ago(one.deleted_at)}</span>
            {writable && <button type="button" class="text-button" onClick={() => void restore([one.song])}>Restore</button>}
          </li>
        ))}
      </ul>
    </>
  );
}

function Jobs({ route }: { route: Route }) {
  const now = useStore(ended);
  const shown = route.query.get("job");
  const { data, error, reload } = useLoad(`jobs ${now} ${shown}`, (signal) => api.jobs(signal));
  const writable = useWritable();
  return (
    <>
      {writable && <ScanForm />}
      {shown && (
        <section class="card">
          <div class="line">
            <h2>Job</h2>
            <span class="spacer" />
            <button type="button" class="text-button" onClick={() => change({ job: null })}>Close</button>
          </div>
          <JobView id={shown} />
        </section>
      )}
      {error && <Trouble problem={error} retry={reload} />}
      {!data && !error && <Waiting rows={4} />}
      {data && data.rows.length === 0 && (
        <Empty icon="sync" title="No job has run yet">
          <p>Scans, syncs, clusters and maps run as jobs; they go on when this page is closed.</p>
        </Empty>
      )}
      {data && data.rows.length > 0 && (
        <ul class="card files jobs">
          {data.rows.map((job) => (
            <li key={job.id}>
              <State job={job} />
              <a href={address(["machines", "jobs"], { job: job.id })}>{jobName(job.kind)}</a>
              <span class="soft job-counts">{counts(job)}</span>
              <span class="soft" title={when(job.started ?? job.asked)}>{ago(job.started ?? job.asked)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function ScanForm() {
  const [path, type] = useState("");
  const run = async (event: Event) => {
    event.preventDefault();
    const job = await start("scan", { path: path.trim() });
    if (!job) return;
    type("");
    change({ job: job.id });
  };
  return (
    <form class="card scan" onSubmit={run}>
      <h2>Scan a folder</h2>
      <p class="soft">A folder on the machine where the server runs. Files are read, never changed; what is known already is quick.</p>
      <div class="line">
        <input type="text" aria-label="Folder" placeholder="/home/me/Music" value={path} onInput={(event) => type(event.currentTarget.value)} />
        <button type="submit" class="button primary" disabled={path.trim() === ""}>Scan</button>
      </div>
    </form>
  );
}

function State({ job }: { job: Job }) {
  const failedSome = job.state === "done" && (job.failed_items?.length ?? 0) > 0;
  const icon = job.state === "done" ? (failedSome ? "warning" : "check") : job.state === "failed" ? "warning" : job.state === "cancelled" ? "ban" : "sync";
  return (
    <span class={`state ${failedSome ? "partly" : job.state}`}>
      <Icon name={icon} size={16} />
      <span>{failedSome ? "done, some failed" : job.state}</span>
    </span>
  );
}

function counts(job: Job): string {
  if (job.kind === "sync" && job.state === "done") return synced(job.result as Partial<Plan> | undefined);
  // What a job counted as it went, or what its result says at the end.
  const result = job.result !== null && typeof job.result === "object" ? job.result : {};
  return Object.entries({ ...result, ...job.counts })
    .filter((one): one is [string, number] => typeof one[1] === "number" && one[1] > 0)
    .slice(0, 5)
    .map(([name, value]) => `${number(value)} ${name.replaceAll("_", " ")}`)
    .join(", ");
}

// What a sync did on each side, as its report counts it.
function synced(report: Partial<Plan> | undefined): string {
  const side = (work: Work | undefined, where: string) =>
    KINDS.flatMap(({ name, label }) => (work && work[name] > 0 ? [`${number(work[name])} ${label} ${where}`] : []));
  const done = [...side(report?.counts?.left, "here"), ...side(report?.counts?.right, "there")];
  return done.length > 0 ? done.join(", ") : "nothing had to be done";
}

/** A job as it goes on: how far it is, what it says, and a way to stop it. */
function JobView({ id }: { id: string }) {
  const { job, lines, lost } = useJob(id);
  const [stopping, stop] = useState(false);
  const writable = useWritable();
  useEffect(() => stop(false), [id]);
  if (!job) return <Waiting rows={2} label="Loading the job" />;
  const { done = 0, total, task, current, bytes } = job.progress ?? {};
  const runs = active(job);
  return (
    <div class="job" data-state={job.state}>
      <div class="line">
        <State job={job} />
        <strong>{jobName(job.kind)}</strong>
        <span class="soft">{runs ? plain(task ?? "") : ""}</span>
        <span class="spacer" />
        {runs && writable && (
          <button type="button" class="button" disabled={stopping} onClick={() => {
            stop(true);
            api.cancel(id).catch(complain);
          }}>{stopping ? "Ending at a safe point…" : "Cancel"}</button>
        )}
      </div>
      {runs && (
        <>
          <progress max={total ?? undefined} value={total ? done : undefined} aria-label={`Progress of ${jobName(job.kind)}`} />
          <p class="soft job-line">
            <span>{total ? `${number(done)} of ${number(total)}` : done > 0 ? number(done) : "Starting"}{bytes ? ` · ${size(bytes)}` : ""}</span>
            <span class="path" dir="auto">{plain(current ?? "")}</span>
          </p>
          {lost && <p class="soft" role="status">The connection was lost; it is made again…</p>}
        </>
      )}
      {!runs && counts(job) !== "" && <p>{counts(job)}</p>}
      {job.state === "done" && made(job) && <p><a href={made(job)!.href}>{made(job)!.label}</a></p>}
      {job.problem && <p class="bad" role="alert">{plain(job.problem.detail ?? job.problem.title ?? "It failed.")} {plain(job.problem.tip ?? "")}</p>}
      {(job.failed_items ?? []).length > 0 && (
        <details open>
          <summary>{count(job.failed_items!.length, "item")} failed</summary>
          <ul class="files log">{job.failed_items!.map(({ item, reason }, i) => <li key={i} class="bad">{plain(item)}: {plain(reason)}</li>)}</ul>
        </details>
      )}
      {lines.length > 0 && (
        <details open={runs}>
          <summary>Log</summary>
          <ul class="log" aria-label="Log" tabIndex={0}>
            {lines.slice(-200).map((line, i) => <li key={i} class={line.kind === "failed" ? "bad" : ""}>{plain(line.text)}</li>)}
          </ul>
        </details>
      )}
    </div>
  );
}

function Health() {
  const { data, error, busy, reload } = useLoad("doctor", (signal) => api.doctor(signal));
  const writable = useWritable();
  if (error) return <Trouble problem={error} retry={reload} />;
  if (!data) return <Waiting label="Checking" />;
  return (
    <>
      <div class="line">
        <p class="soft">What songrec checks where the server runs.</p>
        <span class="spacer" />
        <button type="button" class="button" disabled={busy} onClick={reload}>Check again</button>
        {writable && <button type="button" class="button" onClick={() => void start("verify")}>Verify the whole library</button>}
      </div>
      <ul class="card files findings">
        {data.rows.map((finding) => (
          <li key={finding.name} class={finding.state}>
            <Icon name={finding.state === "good" ? "check" : "warning"} size={16} />
            <strong>{plain(finding.name)}</strong>
            <span>{plain(finding.detail)}{finding.hint && <em class="soft"> {plain(finding.hint)}</em>}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
