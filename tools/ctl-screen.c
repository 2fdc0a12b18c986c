/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page on the whole terminal that is drawn again and again.  Whatever ends the program, or stops
 * it for a while, leaves the terminal as it was.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"     /* the other screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"

static struct termios as_it_was, keys;
static bool has_keys;                    /* stdin is a terminal, too */
static bool shown;

static void put(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));

    (void)n;                             /* there is nobody left to tell */
}

static void enter(void)
{
    if (has_keys) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
    }
    put(ENTER);
}

static void leave(void)
{
    put(LEAVE);
    if (has_keys) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &as_it_was);
    }
}

/* All that it calls may be called here. */
static void on_signal(int signal_number)
{
    int error = errno;

    leave();
    if (signal_number == SIGTSTP) {
        raise(SIGSTOP);
        enter();
    } else {
        signal(signal_number, SIG_DFL);
        raise(signal_number);            /* once we return */
    }
    errno = error;
}

/* It has ended a wait: that is all. */
static void on_resize(int signal_number)
{
    (void)signal_number;
}

void ctl_screen_begin(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
    struct sigaction action = { .sa_handler = on_signal };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
    action.sa_handler = on_resize;
    sigaction(SIGWINCH, &action, NULL);
    has_keys = tcgetattr(STDIN_FILENO, &as_it_was) == 0;
    keys = as_it_was;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    shown = true;
    enter();
}

void ctl_screen_end(void)
{
    if (shown) {
        shown = false;
        leave();
    }
}

void ctl_screen_draw(const char *page)
{
    struct winsize size = { .ws_row = 24 };

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fputs("\033[H", stdout);
    /* Not into the last line: a newline there would have all of it move up. */
    for (unsigned row = 1; *page && row < size.ws_row; row++) {
        size_t len = strcspn(page, "\n");

        printf("%.*s\033[K\n", (int)len, page);
        page += len + (page[len] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

enum ctl_key ctl_screen_wait(int64_t timeout_ms)
{
    struct pollfd pfd = { .fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN };
    int ret = poll(&pfd, 1, (int)timeout_ms);
    char key = 0;

    if (ret <= 0) {
        return ret == 0 ? CTL_KEY_NONE : CTL_KEY_REDRAW;
    }
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') {
        return CTL_KEY_QUIT;
    }
    return CTL_KEY_REDRAW;
}
