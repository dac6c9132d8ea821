"""Rules for specs: data with a code, a reason and a handler. Each topic has a module, each rule a function."""
