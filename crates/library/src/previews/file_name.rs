//! Names of files on every system, made of what a service says.

use super::PreviewTrack;

/// Bytes of artist and title, at the most: with the rest of a name they fit into the 255
/// bytes, or 255 units of UTF-16, that file systems allow.
const LONGEST: usize = 160;
/// What Windows takes for a device, whatever comes after a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// How the file of a track's preview is called, such as `Air - La Femme [itunes 12].m4a`.
pub(super) fn file_name(track: &PreviewTrack, ending: &str) -> String {
    let named = match &track.artist {
        Some(artist) => format!("{artist} - {}", track.title),
        None => track.title.clone(),
    };
    let named = safe(&named);
    let space = if named.is_empty() { "" } else { " " };
    format!("{named}{space}{}{ending}", handle(track.service, &track.id))
}

/// What the name of a track's preview has before its ending: by this it is found again.
pub(super) fn handle(service: &str, id: &str) -> String {
    format!("[{service} {id}].")
}

// A text without what has a meaning in a path, is not seen, or changes what is seen.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        let c = match c {
            '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' => '_',
            c if c.is_control() || c.is_whitespace() => ' ',
            c if is_invisible(c) => continue,
            c => c,
        };
        if safe.len() + c.len_utf8() > LONGEST {
            break;
        }
        // Nor a name that is hidden, or begins like the flag of a command.
        let is_lead = safe.is_empty() && matches!(c, ' ' | '.' | '-' | '~');
        let is_second = c == ' ' && safe.ends_with(' ');
        if !is_lead && !is_second {
            safe.push(c);
        }
    }
    let kept = safe.trim_end_matches([' ', '.']);
    let before_dot = kept.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let is_port = ["com", "lpt"].iter().any(|port| {
        before_dot.strip_prefix(port).is_some_and(|number| number.chars().count() == 1)
    });
    if is_port || DEVICES.contains(&before_dot.as_str()) {
        return format!("_{kept}");
    }
    kept.to_owned()
}

// Marks that turn text around, joiners, and the like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn track(artist: Option<&str>, title: &str) -> PreviewTrack {
        PreviewTrack {
            service: "itunes",
            id: "12".to_owned(),
            title: title.to_owned(),
            artist: artist.map(str::to_owned),
            ..PreviewTrack::default()
        }
    }

    #[test]
    fn a_hostile_title_is_the_name_of_a_file_and_nothing_more() {
        for (artist, title, name) in [
            (Some("Air"), "La Femme d'argent", "Air - La Femme d'argent [itunes 12].m4a"),
            (None, "../../etc/passwd", "_.._etc_passwd [itunes 12].m4a"),
            (None, "C:\\x\\..", "C__x_ [itunes 12].m4a"),
            (None, ".bashrc", "bashrc [itunes 12].m4a"),
            (None, "-rf ~", "rf ~ [itunes 12].m4a"),
            (None, "a\u{1b}[2J\r\nb\0", "a [2J b [itunes 12].m4a"),
            (None, "gpj\u{202e}gnp.exe", "gpjgnp.exe [itunes 12].m4a"),
            (None, "NUL.txt", "_NUL.txt [itunes 12].m4a"),
            (Some("con."), "x", "_con. - x [itunes 12].m4a"),
            (None, "LPT9.", "_LPT9 [itunes 12].m4a"),
            (None, "lpt1.x", "_lpt1.x [itunes 12].m4a"),
            (None, "???", "___ [itunes 12].m4a"),
            (None, " . ", "[itunes 12].m4a"),
            (None, "", "[itunes 12].m4a"),
        ] {
            assert_eq!(file_name(&track(artist, title), "m4a"), name, "{title:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_every_system_takes(
            artist in proptest::option::of(".{0,300}"),
            title in prop_oneof![".{0,300}", "(CON|nul|com1|LPT³)[. ]{0,3}[a-z.]{0,3}", "[./\\\\]{1,9}"],
        ) {
            let name = file_name(&track(artist.as_deref(), &title), "m4a");

            prop_assert!(name.len() <= 255, "{name}");
            prop_assert!(name.ends_with("[itunes 12].m4a"));
            prop_assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']));
            prop_assert!(!name.chars().any(char::is_control));
            prop_assert!(!name.starts_with(['.', ' ', '-', '~']), "{name}");
            let before_dot = name.split('.').next().unwrap().trim_end().to_lowercase();
            prop_assert!(!DEVICES.contains(&before_dot.as_str()), "{name}");
        }
    }
}
