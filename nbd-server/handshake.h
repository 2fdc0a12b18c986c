/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handshake from the inside: what the functions of its options share.
 *
 * Each option is one function, found through the table in handshake.c.  It gets
 * the option's data whole, answers with handshake_reply() and returns.
 */
#ifndef NBD_EXPORT_HANDSHAKE_H
#define NBD_EXPORT_HANDSHAKE_H

#include "server.h"

/* What a client may use up before it has chosen an export. */
#define HANDSHAKE_MAX_OPTIONS 1000
#define HANDSHAKE_MAX_DATA (64u << 10)     /* bytes an option whose data we look at */
#define HANDSHAKE_MAX_BYTES (16u << 20)    /* bytes in all, looked at or not */

typedef struct Handshake {
    Conn *conn;
    Server *server;
    TlsCreds *tls;           /* what STARTTLS begins with; NULL: no TLS */
    bool fixed;              /* the client knows option replies */
    unsigned n_options;
    uint64_t n_bytes;

    uint32_t option;         /* the one being handled */
    uint32_t len;            /* of its data */
    uint8_t *data;

    uint8_t *out;            /* replies that are not sent yet */
    size_t out_len, out_size;

    Export *meta_export;     /* a reference: what the contexts were selected for; NULL: nothing */
    uint32_t meta_contexts;  /* a set */
} Handshake;

/* What the function of an option returns; negative: close the connection. */
#define HANDSHAKE_NEXT 0     /* wait for the next option */
#define HANDSHAKE_DONE 1     /* transmission begins */

typedef int coroutine_fn HandshakeFunc(Handshake *hs);

/* ---- handshake.c ---- */

/* Each queues a reply to the option; HANDSHAKE_NEXT or -errno. */
int coroutine_fn handshake_reply(Handshake *hs, uint32_t type, const struct iovec *iov, int niov);
int coroutine_fn handshake_ack(Handshake *hs);
int coroutine_fn handshake_error(Handshake *hs, uint32_t type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Bytes that are no option reply. */
int coroutine_fn handshake_send(Handshake *hs, const void *data, size_t len);
/* Sends what is queued. */
int coroutine_fn handshake_flush(Handshake *hs);
/* Logs what the client did and returns what closes the connection. */
int handshake_violation(Handshake *hs, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A reference to the export of that name, if the client may enter it; NULL: to this client there
 * is none. */
Export *coroutine_fn handshake_find_export(Handshake *hs, const void *name, size_t len);
/* What this client may do there. */
enum access handshake_access(Handshake *hs, Export *export);
/* May know about the images of --export-dir. */
bool handshake_may_use_dir(const Handshake *hs);
/* With the bits that depend on the client and on what was negotiated. */
uint16_t handshake_flags(Handshake *hs, Export *export);
/* The client's place in the export, which the connection refers to from now on; false, with the
 * reason in words, if it gets none. */
bool coroutine_fn handshake_enter(Handshake *hs, Export *export, const char **reason);

/* Reads an option's data from front to back.  Each call is false when it would go past the end. */
typedef struct OptionData {
    const uint8_t *next;
    size_t left;
} OptionData;

static inline OptionData option_data(const Handshake *hs)
{
    return (OptionData){ hs->data, hs->len };
}

bool option_get_u16(OptionData *data, uint16_t *value);
bool option_get_u32(OptionData *data, uint32_t *value);
/* A length of 32 bits and as many bytes; *bytes points into the option's data. */
bool option_get_string(OptionData *data, const uint8_t **bytes, uint32_t *len);

/* ---- handshake-tls.c ---- */

/* The server serves nobody without TLS, and the client does not use it yet. */
bool handshake_needs_tls(const Handshake *hs);
/* The export is for clients with TLS, and this one has none. */
bool handshake_lacks_tls(const Handshake *hs, const ExportConfig *cfg);
/* What a client is told of an export that it does not find. */
int coroutine_fn handshake_no_export(Handshake *hs);

/* ---- the options ---- */

HandshakeFunc handshake_export_name;         /* handshake-export-name.c */
HandshakeFunc handshake_list;                /* handshake-list.c */
HandshakeFunc handshake_info;                /* handshake-go.c */
HandshakeFunc handshake_go;
HandshakeFunc handshake_starttls;            /* handshake-tls.c */
HandshakeFunc handshake_list_meta_context;   /* handshake-meta.c */
HandshakeFunc handshake_set_meta_context;

#endif
