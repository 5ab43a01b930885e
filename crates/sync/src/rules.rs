//! The rules that keep songs whole, each with a switch for its test.

/// Which rules hold: all of them. Tests switch single ones off, and see what
/// is lost then.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches, for tests alone")]
pub struct Rules {
    /// Merges look at what both sides last agreed on.
    pub base: bool,
    /// A conflict entry that the other side has not seen keeps a song alive.
    pub conflicts_keep_alive: bool,
    /// A song was edited if it holds a value that the deleter had not seen;
    /// not if it merely differs from the base.
    pub unseen_values_keep_alive: bool,
    /// A value that is older than the base does not replace what is newer.
    pub old_values_do_not_return: bool,
    /// A song that is absent without a trace was lost, not deleted.
    pub absence_is_no_deletion: bool,
    /// What could not be done is remembered before cursors advance.
    pub postponed_is_remembered: bool,
    /// What both sides agreed on is noted after both have it, not before.
    pub base_comes_last: bool,
    /// Writes are noted before they are sent.
    pub attempts_are_noted: bool,
    /// Merged versions are named after what they were made of.
    pub merges_are_repeatable: bool,
    /// Songs are stored after the facts they name.
    pub facts_come_first: bool,
    /// Copies of a machine, and restored ones, are told from the machine.
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
            base: true,
            conflicts_keep_alive: true,
            unseen_values_keep_alive: true,
            old_values_do_not_return: true,
            absence_is_no_deletion: true,
            postponed_is_remembered: true,
            base_comes_last: true,
            attempts_are_noted: true,
            merges_are_repeatable: true,
            facts_come_first: true,
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
            "base" => &mut rules.base,
            "conflicts_keep_alive" => &mut rules.conflicts_keep_alive,
            "unseen_values_keep_alive" => &mut rules.unseen_values_keep_alive,
            "old_values_do_not_return" => &mut rules.old_values_do_not_return,
            "absence_is_no_deletion" => &mut rules.absence_is_no_deletion,
            "postponed_is_remembered" => &mut rules.postponed_is_remembered,
            "base_comes_last" => &mut rules.base_comes_last,
            "attempts_are_noted" => &mut rules.attempts_are_noted,
            "merges_are_repeatable" => &mut rules.merges_are_repeatable,
            "facts_come_first" => &mut rules.facts_come_first,
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
