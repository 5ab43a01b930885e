//! Lengths, sizes and counts for people.

/// A duration for people.
pub(crate) fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    match whole {
        short if short < 10.0 => format!("{short:.2} s"),
        long if long < 3600.0 => format!("{}:{:02}", long as u64 / 60, long as u64 % 60),
        hours => {
            let seconds = hours as u64;
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `one song`, `2 songs`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_are_for_people() {
        assert_eq!(length(0.5), "0.50 s");
        assert_eq!(length(75.9), "1:15");
        assert_eq!(length(3723.0), "1:02:03");
        assert_eq!(size(12), "12 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(counted(1, "song"), "1 song");
        assert_eq!(counted(0, "song"), "0 songs");
    }
}
