//! OAuth over HTTP: parses requests, gathers facts, renders answers. It holds no rule and no key.
