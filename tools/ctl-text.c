/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for a terminal: what others named cannot control it, and columns stay columns. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "common/cleanup.h"
#include "common/utf8.h"
#include "common/xalloc.h"

#define GAP 2                    /* blanks between columns; one where there is little room */
#define LEAST 16                 /* columns that a cell keeps before that, ... */
#define NARROWEST 8              /* ... and after that */

/* ---- characters ---- */

static uint32_t decode(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t c = len > 1 ? p[0] & (0x7f >> len) : p[0];

    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (p[i] & 0x3f);
    }
    return c;
}

/* Moves the cursor, changes what is shown, or shows nothing: controls, and the marks that turn the
 * direction of writing. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static unsigned character_width(uint32_t c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : (unsigned)width;
}

char *ctl_escape(const char *text)
{
    /* The longest escape, of six bytes, stands for at least one. */
    char *safe = xcalloc(1, (text ? strlen(text) : 0) * 6 + 1), *out = safe;

    while (text && *text) {
        size_t len = utf8_length(text);
        uint32_t c = len ? decode(text, len) : (unsigned char)*text;

        if (len && !is_control(c)) {
            memcpy(out, text, len);
            out += len;
        } else if (c == '\n' || c == '\t') {
            out += sprintf(out, "\\%c", c == '\n' ? 'n' : 't');
        } else {
            out += sprintf(out, len < 2 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, c);
        }
        text += len ? len : 1;
    }
    return safe;
}

unsigned ctl_width(const char *text)
{
    unsigned width = 0;

    while (*text) {
        size_t len = utf8_length(text);

        width += len ? character_width(decode(text, len)) : 1;
        text += len ? len : 1;
    }
    return width;
}

/* How many bytes of text fit into so many columns. */
static size_t fitting(const char *text, unsigned width)
{
    size_t bytes = 0;

    while (text[bytes]) {
        size_t len = utf8_length(text + bytes);
        unsigned w = len ? character_width(decode(text + bytes, len)) : 1;

        if (w > width) {
            break;
        }
        width -= w;
        bytes += len ? len : 1;
    }
    return bytes;
}

char *ctl_cut(const char *text, unsigned width)
{
    unsigned whole = ctl_width(text);
    const char *tail = text;
    char *cut;
    size_t head;

    if (whole <= width || width == 0) {
        return xstrdup(text);
    }
    head = fitting(text, width / 2);
    /* What is left out is as wide as what is too much, and the ellipsis. */
    tail += head;
    while (ctl_width(tail) > width - 1 - width / 2) {
        size_t len = utf8_length(tail);

        tail += len ? len : 1;
    }
    if (asprintf(&cut, "%.*s…%s", (int)head, text, tail) < 0) {
        xalloc_check(NULL);
    }
    return cut;
}

const char *ctl_duration(int64_t seconds, char buf[32])
{
    int64_t days = seconds / 86400;
    int n = days ? snprintf(buf, 32, "%" PRId64 " d ", days) : 0;

    snprintf(buf + n, 32 - (size_t)n, "%d:%02d:%02d", (int)(seconds / 3600 % 24),
             (int)(seconds / 60 % 60), (int)(seconds % 60));
    return buf;
}

unsigned ctl_terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0) {
        return 0;
    }
    return size.ws_col ? size.ws_col : 80;       /* a terminal that does not know its size */
}

/* ---- tables ---- */

typedef struct Column {
    const char *head;
    bool right, may_be_cut;
    unsigned width;
} Column;

struct CtlTable {
    Column *columns;
    unsigned n_columns, gap;
    char **cells;                /* row by row */
    size_t n_cells;
};

CtlTable *ctl_table_new(const char *const *heads, unsigned n)
{
    CtlTable *table = xcalloc(1, sizeof(*table));

    table->columns = xcalloc(n, sizeof(*table->columns));
    table->n_columns = n;
    table->gap = GAP;
    for (unsigned i = 0; i < n; i++) {
        Column *column = &table->columns[i];

        column->right = heads[i][0] == '>';
        column->may_be_cut = heads[i][0] == '~';
        column->head = heads[i] + (column->right || column->may_be_cut);
        column->width = ctl_width(column->head);
    }
    return table;
}

void ctl_table_add(CtlTable *table, const char *fmt, ...)
{
    Column *column = &table->columns[table->n_cells % table->n_columns];
    auto_free char *text = NULL;
    va_list args;
    char *cell;
    unsigned width;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0) {
        xalloc_check(NULL);
    }
    va_end(args);
    cell = ctl_escape(*text ? text : "-");
    width = ctl_width(cell);
    if (width > column->width) {
        column->width = width;
    }
    table->cells = xalloc_check(realloc(table->cells,
                                        (table->n_cells + 1) * sizeof(*table->cells)));
    table->cells[table->n_cells++] = cell;
}

static unsigned total_width(const CtlTable *table)
{
    unsigned total = table->gap * (table->n_columns - 1);

    for (unsigned i = 0; i < table->n_columns; i++) {
        total += table->columns[i].width;
    }
    return total;
}

/* Takes from the widest that may be cut, column by column, until it fits or they are so narrow. */
static void narrow(CtlTable *table, unsigned limit, unsigned least)
{
    for (unsigned total = total_width(table); total > limit; total--) {
        Column *widest = NULL;

        for (unsigned i = 0; i < table->n_columns; i++) {
            Column *column = &table->columns[i];

            if (column->may_be_cut && (!widest || column->width > widest->width)) {
                widest = column;
            }
        }
        if (!widest || widest->width <= least) {
            break;
        }
        widest->width--;
    }
}

/* One row, at most so wide (0: whatever it takes); blanks behind the last cell are left out. */
static void print_row(const CtlTable *table, FILE *out, char *const *cells, unsigned limit)
{
    auto_free char *line = NULL;
    size_t len;
    FILE *text = xalloc_check(open_memstream(&line, &len));

    for (unsigned i = 0; i < table->n_columns; i++) {
        const Column *column = &table->columns[i];
        auto_free char *cell = ctl_cut(cells ? cells[i] : column->head, column->width);
        unsigned width = ctl_width(cell), gap = i + 1 < table->n_columns ? table->gap : 0;
        unsigned blanks = width < column->width ? column->width - width : 0;

        fprintf(text, "%*s%s%*s", column->right ? (int)blanks : 0, "", cell,
                (int)(column->right || !gap ? gap : blanks + gap), "");
    }
    fclose(text);
    fprintf(out, "%.*s\n", (int)(limit ? fitting(line, limit) : len), line);
}

void ctl_table_print(CtlTable *table, FILE *out, unsigned width)
{
    if (width) {
        narrow(table, width, LEAST);
        table->gap = total_width(table) > width ? 1 : GAP;
        narrow(table, width, NARROWEST);
    }
    print_row(table, out, NULL, width);
    for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns) {
        print_row(table, out, table->cells + i, width);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table->columns);
    free(table);
}
