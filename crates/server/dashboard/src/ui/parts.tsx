// Small parts that every page is made of.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Problem } from "../api";
import { messages, unsay, useStore } from "../store";
import { Icon, type IconName } from "./icon";

export function PageHead({ title, note, children }: {
  title: string;
  note?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <div class="page-head">
      <div class="page-title">
        <h1>{title}</h1>
        {note !== undefined && <p class="soft">{note}</p>}
      </div>
      {children !== undefined && <div class="page-tools">{children}</div>}
    </div>
  );
}

export function IconButton({ icon, label, act, pressed, disabled, small, kind = "" }: {
  icon: IconName;
  label: string;
  act: (event: MouseEvent) => void;
  pressed?: boolean;
  disabled?: boolean;
  small?: boolean;
  kind?: string;
}) {
  return (
    <button
      type="button"
      class={`icon-button ${small ? "small" : ""} ${kind}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={act}
    >
      <Icon name={icon} size={small ? 16 : 18} />
    </button>
  );
}

/** One of a few; the arrows move. */
export function Segments<T extends string>({ label, value, options, choose }: {
  label: string;
  value: T;
  options: { value: T; label: string; icon?: IconName; disabled?: boolean }[];
  choose: (value: T) => void;
}) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const able = options.filter((option) => !option.disabled);
    const at = able.findIndex((option) => option.value === value);
    const next = able[(at + step + able.length) % able.length];
    choose(next.value);
    const group = event.currentTarget as HTMLElement;
    requestAnimationFrame(() =>
      group.querySelector<HTMLElement>(`[data-value="${next.value}"]`)?.focus(),
    );
  };
  return (
    <div class="segments" role="radiogroup" aria-label={label} onKeyDown={move}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          role="radio"
          data-value={option.value}
          aria-checked={option.value === value}
          aria-label={option.icon ? option.label : undefined}
          title={option.icon ? option.label : undefined}
          tabIndex={option.value === value ? 0 : -1}
          disabled={option.disabled}
          onClick={() => choose(option.value)}
        >
          {option.icon ? <Icon name={option.icon} /> : option.label}
        </button>
      ))}
    </div>
  );
}

/** Pages of a page, as links. */
export function Tabs({ label, value, tabs }: {
  label: string;
  value: string;
  tabs: { value: string; label: string; href: string; count?: number }[];
}) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <a key={tab.value} href={tab.href} aria-current={tab.value === value ? "page" : undefined}>
          {tab.label}
          {tab.count !== undefined && tab.count > 0 && <span class="badge">{tab.count}</span>}
        </a>
      ))}
    </nav>
  );
}

export function Empty({ icon, title, children }: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon"><Icon name={icon} size={28} /></span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** What went wrong, and what to do about it. */
export function Trouble({ problem, retry, compact }: {
  problem: Problem;
  retry?: () => void;
  compact?: boolean;
}) {
  return (
    <div class={`trouble ${compact ? "compact" : ""}`} role="alert">
      <Icon name="warning" size={compact ? 18 : 24} />
      <div>
        <strong>{problem.title}</strong>
        {problem.message !== problem.title && problem.message !== "" && <p>{problem.message}</p>}
        {problem.tip && <p class="soft">{problem.tip}</p>}
        {retry && <button type="button" class="button" onClick={retry}>Try again</button>}
      </div>
    </div>
  );
}

export function Waiting({ rows = 6, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div class="waiting" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, i) => <div key={i} class="skeleton" />)}
    </div>
  );
}

export function Chip({ children, remove, label, href, title }: {
  children: ComponentChildren;
  remove?: () => void;
  label?: string;
  href?: string;
  title?: string;
}) {
  return (
    <span class="chip" title={title}>
      {href ? <a href={href}>{children}</a> : children}
      {remove && (
        <button type="button" aria-label={`Remove ${label ?? "this"}`} onClick={remove}>
          <Icon name="close" size={12} />
        </button>
      )}
    </span>
  );
}

export function Meter({ value, label, tone = "" }: { value: number; label: string; tone?: string }) {
  const share = Math.min(Math.max(value, 0), 1);
  return (
    <span class={`meter ${tone}`} role="img" aria-label={label} title={label}>
      <span style={{ width: `${100 * share}%` }} />
    </span>
  );
}

/** A window over the page. Escape and a click beside it close it. */
export function Dialog({ title, close, children, wide }: {
  title: string;
  close: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement as HTMLElement | null;
    element.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : ""}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onMouseDown={(event) => event.target === dialog.current && close()}
    >
      <div class="dialog-head">
        <h2>{title}</h2>
        <IconButton icon="close" label="Close" act={close} />
      </div>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}

export function Confirm({ title, children, label, act, close }: {
  title: string;
  children: ComponentChildren;
  label: string;
  act: () => void;
  close: () => void;
}) {
  return (
    <Dialog title={title} close={close}>
      {children}
      <div class="dialog-foot">
        <button type="button" class="button" onClick={close}>Keep as it is</button>
        <button
          type="button"
          class="button danger"
          onClick={() => {
            close();
            act();
          }}
        >
          {label}
        </button>
      </div>
    </Dialog>
  );
}

export function Messages({ children }: { children?: ComponentChildren }) {
  const all = useStore(messages);
  return (
    <div class="messages" role="region" aria-label="Messages" aria-live="polite">
      {children}
      {all.map((message) => (
        <div key={message.id} class={`message ${message.tone}`}>
          <span>{message.text}</span>
          {message.act && (
            <button
              type="button"
              class="text-button"
              onClick={() => {
                unsay(message.id);
                message.act!.run();
              }}
            >
              {message.act.label}
            </button>
          )}
          <IconButton icon="close" label="Close message" small act={() => unsay(message.id)} />
        </div>
      ))}
    </div>
  );
}

/** A button that opens a small sheet under it. */
export function Popover({ label, icon, children, open, set, kind = "button" }: {
  label: string;
  icon?: IconName;
  children: ComponentChildren;
  open: boolean;
  set: (open: boolean) => void;
  kind?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) set(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      set(false);
      box.current?.querySelector<HTMLElement>("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    box.current?.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      box.current?.removeEventListener("keydown", escape);
    };
  }, [open]);
  return (
    <div class="popover" ref={box}>
      <button type="button" class={kind} aria-expanded={open} onClick={() => set(!open)}>
        {icon && <Icon name={icon} size={16} />}
        {label}
      </button>
      {open && <div class="sheet">{children}</div>}
    </div>
  );
}
