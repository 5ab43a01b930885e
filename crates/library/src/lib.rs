//! What a user has: the factory, configuration, the use cases.
