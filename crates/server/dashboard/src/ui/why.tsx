// Why two songs match: bars for each group of features, and facts side by side.

import type { Explanation } from "../api";
import { percent, plain } from "../words";

export function Why({ explanation }: { explanation: Explanation }) {
  const { reasons, groups, facts, note } = explanation;
  const about = new Map(reasons.map((reason) => [reason.label, reason.description]));
  return (
    <div class="why">
      {groups.length > 0 && (
        <ul class="bars" aria-label="Likeness for each group of features">
          {groups.map((group) => (
            <li key={group.group}>
              <span class="bar-name" title={about.get(group.label)}>{plain(group.label)}</span>
              <span class="bar"><span style={{ width: `${Math.max(1, 100 * Math.min(1, Math.max(0, group.score)))}%` }} /></span>
              <span class="bar-value">{percent(group.score)}</span>
            </li>
          ))}
        </ul>
      )}
      {reasons.length > 0 && (
        <p class="reason">{sentence(reasons.slice(0, 3).map((reason) => plain(reason.description)))}</p>
      )}
      {facts.length > 0 && (
        <div class="fact-table" role="region" aria-label="Facts side by side" tabIndex={0}>
          <table>
            <tbody>
              {facts.map((fact) => (
                <tr key={fact.name}>
                  <th scope="row">{plain(fact.name)}</th>
                  <td>{plain(fact.left)}</td>
                  <td>{plain(fact.right)}</td>
                  <td class="soft">{plain(fact.unit)}</td>
                  <td>{plain(fact.remark)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {note && <p class="soft">{plain(note)}</p>}
    </div>
  );
}

function sentence(parts: string[]): string {
  const text = parts.join("; ");
  return text === "" ? "" : `${text[0].toUpperCase()}${text.slice(1)}.`;
}
