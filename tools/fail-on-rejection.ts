/** Preloaded by mocha, which would otherwise let a test pass that leaves a rejection unhandled. */
process.on('unhandledRejection', (reason) => {
  throw reason;
});

export {};
