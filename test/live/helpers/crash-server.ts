import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** In Python: answers every request with what only this process knows. */
const server = `
import os, socket, sys
me = b'%d-%s' % (os.getpid(), os.urandom(8).hex().encode())
head = b'HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\nconnection: close\\r\\n\\r\\n' % len(me)
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    try:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(65536)
            connection.sendall(head + me)
    except OSError:
        pass
`;

/** The command of the servers: one that is up within some milliseconds. */
export const crashServer: readonly string[] = ['python3', '-I', '-c', server, '{port}'];

/** Whose servers there are, by their names. */
export const crashServers: readonly { readonly user: string; readonly serverName: string }[] = [
  'alice',
  'bob',
].flatMap((user) => ['', 'lab', 'gpu', 'R', 'r&d: 2'].map((serverName) => ({ user, serverName })));

/** By what a server process is told from all others, also from an earlier one at its address. */
export async function identityOf(url: string): Promise<string> {
  // `fetch` refuses some ports.
  const outgoing = request(url, { agent: false, timeout: 10_000 }).end();
  outgoing.once('timeout', () => outgoing.destroy(new Error(`${url} does not answer`)));
  const [incoming] = await once(outgoing, 'response');
  return text(incoming);
}
