//! The rules that keep songs whole, each with a switch for its test.

/// Which rules hold. All of them do, except in tests, which switch a single rule
/// off and show what is lost without it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches, for tests alone")]
pub struct Rules {
    /// What could not be done is remembered before cursors advance.
    pub postponed_is_remembered: bool,
    /// Songs are stored after the objects they name.
    pub objects_come_first: bool,
    /// A copy of a machine, or one that was restored from a backup, is told from the
    /// machine.
    pub sessions_are_fenced: bool,
    /// Every session that was sent is known as an own one.
    pub sessions_are_a_set: bool,
    /// A restored library is compared as a whole.
    pub restored_is_compared: bool,
    /// Tombstones are purged when every machine has seen them.
    pub purging_waits: bool,
    /// Writes replace the version they were made from, and no other.
    pub versions_are_compared: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            postponed_is_remembered: true,
            objects_come_first: true,
            sessions_are_fenced: true,
            sessions_are_a_set: true,
            restored_is_compared: true,
            purging_waits: true,
            versions_are_compared: true,
        }
    }
}

impl Rules {
    /// All rules but the one of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn without(name: &str) -> Self {
        let mut rules = Self::default();
        let rule = match name {
            "postponed_is_remembered" => &mut rules.postponed_is_remembered,
            "facts_come_first" => &mut rules.objects_come_first,
            "sessions_are_fenced" => &mut rules.sessions_are_fenced,
            "sessions_are_a_set" => &mut rules.sessions_are_a_set,
            "restored_is_compared" => &mut rules.restored_is_compared,
            "purging_waits" => &mut rules.purging_waits,
            "versions_are_compared" => &mut rules.versions_are_compared,
            other => panic!("there is no rule `{other}`"),
        };
        *rule = false;
        rules
    }
}
