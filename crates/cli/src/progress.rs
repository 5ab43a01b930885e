//! Progress on the terminal.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use songrec_core::{Event, Progress, Silent};

use crate::args::GlobalArgs;

/// Who draws the progress of a run, if anybody.
pub(crate) fn progress(global: &GlobalArgs) -> Arc<dyn Progress> {
    if global.quiet {
        return Arc::new(Silent);
    }
    let hidden = global.no_progress
        || std::env::var_os("SONGREC_NO_PROGRESS").is_some_and(|value| !value.is_empty());
    if hidden || !io::stderr().is_terminal() {
        return Arc::new(Notes);
    }
    Arc::new(Terminal::default())
}

/// Draws nothing, and still says what is worth saying.
#[derive(Debug)]
struct Notes;

impl Progress for Notes {
    fn on(&self, event: Event<'_>) {
        if let Event::Note { text } = event {
            tell(None, text, 0);
        }
    }
}

/// Draws a bar on stderr.
#[derive(Debug, Default)]
struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
}

// Five times a second is smooth, and little work over a slow line.
const FRAMES_PER_SECOND: u8 = 5;

impl Progress for Terminal {
    fn on(&self, event: Event<'_>) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { work, total } => {
                let target = ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND);
                let new =
                    ProgressBar::with_draw_target(total, target).with_message(work.to_owned());
                new.set_style(style(total.is_some()));
                new.enable_steady_tick(Duration::from_millis(250));
                *bar = Some(new);
            }
            Event::Total { total } => {
                if let Some(bar) = &*bar {
                    bar.set_length(total);
                    bar.set_style(style(true));
                }
            }
            Event::Advanced { .. } => {
                if let Some(bar) = &*bar {
                    bar.inc(1);
                }
            }
            Event::Skipped { item, reason } => {
                if let Some(bar) = &*bar {
                    tell(Some(bar), &format!("skipped {item}: {reason}"), 1);
                }
            }
            Event::Note { text } => tell(bar.as_ref(), text, 0),
            Event::Finished => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}

fn tell(bar: Option<&ProgressBar>, text: &str, advance: u64) {
    match bar {
        Some(bar) => {
            bar.println(text);
            bar.inc(advance);
        }
        // Where nobody listens, there is nobody to tell.
        None => drop(writeln!(io::stderr().lock(), "{text}")),
    }
}

fn style(total_known: bool) -> ProgressStyle {
    let template = if total_known {
        "{msg} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left"
    } else {
        "{msg} {spinner} {human_pos}  {per_sec}"
    };
    ProgressStyle::with_template(template).expect("the templates are valid")
}
