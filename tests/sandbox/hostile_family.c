/* A hostile hook: it ends at once, and leaves a family of which each member forks and ends, again and again.
 *
 * hostile_family SECONDS MARK: after so long it ends by itself. MARK makes its members known.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 3) return 2;
    time_t end = time(NULL) + atoi(words[1]);
    for (int member = 0; member < 5; member++) {
        if (fork() != 0) continue;
        setsid();
        while (time(NULL) < end)
            if (fork() > 0) _exit(0);
        _exit(0);
    }
    return 0;
}
