// Who comes without a session is asked for the token once.

import { useState } from "preact/hooks";
import { api, Problem } from "../api";
import { asProblem } from "../store";
import { Icon } from "../ui/icon";

export function TokenPage({ done }: { done: () => void }) {
  const [token, type] = useState("");
  const [problem, fail] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    fail(null);
    try {
      await api.signIn(token.trim());
      done();
    } catch (error) {
      const problem = asProblem(error);
      fail(problem.status === 401 || problem.status === 403
        ? new Problem(problem.status, problem.code, "This is not the token", problem.message, problem.tip)
        : problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="alone token">
      <form class="card" onSubmit={submit}>
        <span class="empty-icon"><Icon name="lock" size={28} /></span>
        <h1>This library asks for a token</h1>
        <p class="soft">
          Whoever started the server chose it, in a file that the setting names or in the variable
          <code> SONGREC_SERVE_TOKEN</code>. It is kept by this browser until it is closed, in a cookie
          that scripts cannot read.
        </p>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            autocomplete="current-password"
            autofocus
            required
            value={token}
            aria-invalid={problem !== null}
            aria-describedby={problem ? "token-problem" : undefined}
            onInput={(event) => type(event.currentTarget.value)}
          />
        </label>
        {problem && <p id="token-problem" class="bad" role="alert">{problem.title}. {problem.tip ?? "Copy it again, without spaces around it."}</p>}
        <button type="submit" class="button primary" disabled={busy || token.trim() === ""}>
          {busy ? "Checking…" : "Open the library"}
        </button>
      </form>
    </main>
  );
}
