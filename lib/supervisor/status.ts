/** What a server is doing, as its supervisor knows it. */
export type ServerStatus = 'waiting' | 'starting' | 'ready' | 'unhealthy' | 'stopping';
