/**
 * Preloaded by mocha, which would otherwise `require` the test files, and with them get a second
 * copy of every module of lib/ that something imports dynamically: `instanceof` would fail between
 * the two. Where Node says that it cannot require ES modules, mocha imports them.
 */
Object.defineProperty(process.features, 'require_module', { value: false });

export {};
