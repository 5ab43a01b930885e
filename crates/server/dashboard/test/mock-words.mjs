// What all parts of the mock say in the same way.

export const idOf = (i) => `00000000-0000-8000-8000-${String(i).padStart(12, "0")}`;
export const numberOf = (id) => Number(id.slice(-12));
export const fold = (text) => String(text ?? "").normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
export const problem = (status, code, title, detail, tip) => Object.assign(new Error(detail), { problem: { type: "about:blank", title, status, code, detail, tip } });
export const missing = (what, tip) => problem(404, "not_found", `There is no such ${what}`, `no ${what} has this name`, tip);
