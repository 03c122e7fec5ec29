/* For LD_PRELOAD: what would listen on every interface listens on loopback alone. The daemons of
 * Grid Engine have no option for that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int socket, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  struct sockaddr_in own;
  if (address == NULL || address->sa_family != AF_INET || length < sizeof own) {
    return real(socket, address, length);
  }
  memcpy(&own, address, sizeof own);
  if (own.sin_addr.s_addr == htonl(INADDR_ANY)) own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return real(socket, (struct sockaddr *)&own, sizeof own);
}
