/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The NBD protocol on the wire: every constant and every packed struct, once.
 *
 * Section names in quotes are those of doc/proto.md of NetworkBlockDevice/nbd.
 * Every integer travels in network byte order (big endian).
 */
#ifndef NBD_PROTOCOL_H
#define NBD_PROTOCOL_H

#include <stdint.h>

#define NBD_PACKED __attribute__((packed))

/* The IANA-registered TCP port: "Newstyle negotiation". */
#define NBD_DEFAULT_PORT 10809

/* Longest string (name, description, message, query) in bytes: "Conventions". */
#define NBD_MAX_STRING 4096

/* ---- "Newstyle negotiation" ---- */

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)          /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC UINT64_C(0x49484156454F5054)     /* "IHAVEOPT" */
#define NBD_REP_MAGIC UINT64_C(0x0003e889045565a9)      /* "Fixed newstyle negotiation" */

/* Server, first bytes on the connection. */
struct nbd_greeting {
    uint64_t magic;           /* NBD_MAGIC */
    uint64_t opts_magic;      /* NBD_OPTS_MAGIC */
    uint16_t flags;           /* NBD_FLAG_FIXED_NEWSTYLE, ... */
} NBD_PACKED;

/* Client, once: 32 bits of NBD_FLAG_C_*.  Then any number of these, each with `len` bytes. */
struct nbd_option {
    uint64_t magic;           /* NBD_OPTS_MAGIC */
    uint32_t option;          /* NBD_OPT_* */
    uint32_t len;
} NBD_PACKED;

/* Server, to every option but NBD_OPT_EXPORT_NAME; `len` bytes of data follow. */
struct nbd_option_reply {
    uint64_t magic;           /* NBD_REP_MAGIC */
    uint32_t option;          /* as the client sent it */
    uint32_t type;            /* NBD_REP_* */
    uint32_t len;
} NBD_PACKED;

/* Server, to NBD_OPT_EXPORT_NAME; the zeroes are left out with NBD_FLAG_C_NO_ZEROES. */
struct nbd_export_name_reply {
    uint64_t size;
    uint16_t flags;           /* transmission flags */
    uint8_t zeroes[124];
} NBD_PACKED;

/* "Handshake flags" */
#define NBD_FLAG_FIXED_NEWSTYLE (1U << 0)
#define NBD_FLAG_NO_ZEROES (1U << 1)

/* "Client flags" */
#define NBD_FLAG_C_FIXED_NEWSTYLE (1U << 0)
#define NBD_FLAG_C_NO_ZEROES (1U << 1)

/* "Transmission flags" */
#define NBD_FLAG_HAS_FLAGS (1U << 0)
#define NBD_FLAG_READ_ONLY (1U << 1)
#define NBD_FLAG_SEND_FLUSH (1U << 2)
#define NBD_FLAG_SEND_FUA (1U << 3)
#define NBD_FLAG_ROTATIONAL (1U << 4)
#define NBD_FLAG_SEND_TRIM (1U << 5)
#define NBD_FLAG_SEND_WRITE_ZEROES (1U << 6)
#define NBD_FLAG_SEND_DF (1U << 7)
#define NBD_FLAG_CAN_MULTI_CONN (1U << 8)
#define NBD_FLAG_SEND_RESIZE (1U << 9)
#define NBD_FLAG_SEND_CACHE (1U << 10)
#define NBD_FLAG_SEND_FAST_ZERO (1U << 11)
#define NBD_FLAG_BLOCK_STATUS_PAYLOAD (1U << 12)   /* extension "EXTENDED_HEADERS" */

/* "Option types" */
#define NBD_OPT_EXPORT_NAME 1U
#define NBD_OPT_ABORT 2U
#define NBD_OPT_LIST 3U
#define NBD_OPT_PEEK_EXPORT 4U              /* withdrawn */
#define NBD_OPT_STARTTLS 5U
#define NBD_OPT_INFO 6U
#define NBD_OPT_GO 7U
#define NBD_OPT_STRUCTURED_REPLY 8U
#define NBD_OPT_LIST_META_CONTEXT 9U
#define NBD_OPT_SET_META_CONTEXT 10U
#define NBD_OPT_EXTENDED_HEADERS 11U        /* extension "EXTENDED_HEADERS" */

/* "Option reply types" */
#define NBD_REP_ACK 1U
#define NBD_REP_SERVER 2U
#define NBD_REP_INFO 3U
#define NBD_REP_META_CONTEXT 4U
#define NBD_REP_IS_ERROR(type) (((type) & (1U << 31)) != 0)
#define NBD_REP_ERR(n) ((1U << 31) | (n))
#define NBD_REP_ERR_UNSUP NBD_REP_ERR(1U)
#define NBD_REP_ERR_POLICY NBD_REP_ERR(2U)
#define NBD_REP_ERR_INVALID NBD_REP_ERR(3U)
#define NBD_REP_ERR_PLATFORM NBD_REP_ERR(4U)
#define NBD_REP_ERR_TLS_REQD NBD_REP_ERR(5U)
#define NBD_REP_ERR_UNKNOWN NBD_REP_ERR(6U)
#define NBD_REP_ERR_SHUTDOWN NBD_REP_ERR(7U)
#define NBD_REP_ERR_BLOCK_SIZE_REQD NBD_REP_ERR(8U)
#define NBD_REP_ERR_TOO_BIG NBD_REP_ERR(9U)
#define NBD_REP_ERR_EXT_HEADER_REQD NBD_REP_ERR(10U)

/* Information types of NBD_OPT_INFO, NBD_OPT_GO and NBD_REP_INFO */
#define NBD_INFO_EXPORT 0U
#define NBD_INFO_NAME 1U
#define NBD_INFO_DESCRIPTION 2U
#define NBD_INFO_BLOCK_SIZE 3U

/* NBD_REP_INFO of type NBD_INFO_EXPORT */
struct nbd_info_export {
    uint16_t type;
    uint64_t size;
    uint16_t flags;
} NBD_PACKED;

/* NBD_REP_INFO of type NBD_INFO_BLOCK_SIZE; rules in "Size constraints" */
struct nbd_info_block_size {
    uint16_t type;
    uint32_t minimum;
    uint32_t preferred;
    uint32_t maximum;
} NBD_PACKED;

/* Bounds of "Size constraints" */
#define NBD_MAX_MIN_BLOCK_SIZE 65536U       /* largest minimum that may be announced */
#define NBD_MIN_PREF_BLOCK_SIZE 512U        /* smallest preferred that may be announced */
#define NBD_DEFAULT_PREF_BLOCK_SIZE 4096U
#define NBD_DEFAULT_MAX_PAYLOAD (1U << 25)  /* what any client may send unasked */

/* ---- "Metadata querying" ---- */

#define NBD_META_BASE_ALLOCATION "base:allocation"
/* doc/interop/nbd of QEMU; a bitmap's name follows. */
#define NBD_META_QEMU_ALLOCATION_DEPTH "qemu:allocation-depth"
#define NBD_META_QEMU_DIRTY_BITMAP "qemu:dirty-bitmap:"

/* "base:allocation metadata context": the status flags */
#define NBD_STATE_HOLE (1U << 0)
#define NBD_STATE_ZERO (1U << 1)
/* qemu:dirty-bitmap:NAME */
#define NBD_STATE_DIRTY (1U << 0)

/* ---- "Transmission" ---- */

#define NBD_REQUEST_MAGIC 0x25609513U
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698U
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efU
#define NBD_EXTENDED_REQUEST_MAGIC 0x21e41c71U
#define NBD_EXTENDED_REPLY_MAGIC 0x6e8a278cU

/* "Request message"; NBD_CMD_WRITE is followed by `len` bytes of data. */
struct nbd_request {
    uint32_t magic;           /* NBD_REQUEST_MAGIC */
    uint16_t flags;           /* NBD_CMD_FLAG_* */
    uint16_t type;            /* NBD_CMD_* */
    uint64_t cookie;          /* opaque: goes back as it came */
    uint64_t offset;
    uint32_t len;
} NBD_PACKED;

/* The same with NBD_OPT_EXTENDED_HEADERS; with NBD_CMD_FLAG_PAYLOAD_LEN, and only then, `len`
 * bytes follow. */
struct nbd_extended_request {
    uint32_t magic;           /* NBD_EXTENDED_REQUEST_MAGIC */
    uint16_t flags;           /* NBD_CMD_FLAG_* */
    uint16_t type;            /* NBD_CMD_* */
    uint64_t cookie;          /* opaque: goes back as it came */
    uint64_t offset;
    uint64_t len;
} NBD_PACKED;

/* "Simple reply message" */
struct nbd_simple_reply {
    uint32_t magic;           /* NBD_SIMPLE_REPLY_MAGIC */
    uint32_t error;           /* NBD_E* or 0 */
    uint64_t cookie;
} NBD_PACKED;

/* "Structured reply chunk message"; `len` bytes of payload follow. */
struct nbd_structured_reply {
    uint32_t magic;           /* NBD_STRUCTURED_REPLY_MAGIC */
    uint16_t flags;           /* NBD_REPLY_FLAG_* */
    uint16_t type;            /* NBD_REPLY_TYPE_* */
    uint64_t cookie;
    uint32_t len;
} NBD_PACKED;

/* "Extended reply chunk message": all replies are such with NBD_OPT_EXTENDED_HEADERS. */
struct nbd_extended_reply {
    uint32_t magic;           /* NBD_EXTENDED_REPLY_MAGIC */
    uint16_t flags;           /* NBD_REPLY_FLAG_* */
    uint16_t type;            /* NBD_REPLY_TYPE_* */
    uint64_t cookie;
    uint64_t offset;          /* of the request */
    uint64_t len;
} NBD_PACKED;

/* "Request types" */
#define NBD_CMD_READ 0U
#define NBD_CMD_WRITE 1U
#define NBD_CMD_DISC 2U
#define NBD_CMD_FLUSH 3U
#define NBD_CMD_TRIM 4U
#define NBD_CMD_CACHE 5U
#define NBD_CMD_WRITE_ZEROES 6U
#define NBD_CMD_BLOCK_STATUS 7U
#define NBD_CMD_RESIZE 8U                   /* experimental */

/* "Command flags" */
#define NBD_CMD_FLAG_FUA (1U << 0)
#define NBD_CMD_FLAG_NO_HOLE (1U << 1)
#define NBD_CMD_FLAG_DF (1U << 2)
#define NBD_CMD_FLAG_REQ_ONE (1U << 3)
#define NBD_CMD_FLAG_FAST_ZERO (1U << 4)
#define NBD_CMD_FLAG_PAYLOAD_LEN (1U << 5)  /* with extended headers */

/* "Structured reply flags" */
#define NBD_REPLY_FLAG_DONE (1U << 0)

/* "Structured reply types" */
#define NBD_REPLY_TYPE_NONE 0U
#define NBD_REPLY_TYPE_OFFSET_DATA 1U
#define NBD_REPLY_TYPE_OFFSET_HOLE 2U
#define NBD_REPLY_TYPE_BLOCK_STATUS 5U
#define NBD_REPLY_TYPE_BLOCK_STATUS_EXT 6U
#define NBD_REPLY_TYPE_ERR(n) ((1U << 15) | (n))
#define NBD_REPLY_TYPE_ERROR NBD_REPLY_TYPE_ERR(1U)
#define NBD_REPLY_TYPE_ERROR_OFFSET NBD_REPLY_TYPE_ERR(2U)

/* Most extents that a NBD_REPLY_TYPE_BLOCK_STATUS chunk should hold. */
#define NBD_MAX_EXTENTS (1U << 20)

/* Payload of NBD_REPLY_TYPE_OFFSET_DATA, before the data */
struct nbd_chunk_offset_data {
    uint64_t offset;
} NBD_PACKED;

/* Payload of NBD_REPLY_TYPE_OFFSET_HOLE */
struct nbd_chunk_offset_hole {
    uint64_t offset;
    uint32_t hole_size;       /* never 0 */
} NBD_PACKED;

/* Payload of NBD_REPLY_TYPE_BLOCK_STATUS, before its extents (at least one) */
struct nbd_chunk_block_status {
    uint32_t context_id;
} NBD_PACKED;

struct nbd_extent {
    uint32_t len;             /* never 0 */
    uint32_t status;          /* NBD_STATE_* */
} NBD_PACKED;

/* Payload of NBD_REPLY_TYPE_BLOCK_STATUS_EXT, before its extents */
struct nbd_chunk_block_status_ext {
    uint32_t context_id;
    uint32_t count;           /* of extents, at least one */
} NBD_PACKED;

struct nbd_extent_ext {
    uint64_t len;             /* never 0 */
    uint64_t status;
} NBD_PACKED;

/* Payload of a request NBD_CMD_BLOCK_STATUS with NBD_CMD_FLAG_PAYLOAD_LEN; the 32-bit ids of the
 * contexts that the reply shall have follow. */
struct nbd_block_status_filter {
    uint64_t len;             /* of the range that is asked about */
} NBD_PACKED;

/* Payload of NBD_REPLY_TYPE_ERROR, before the message; with NBD_REPLY_TYPE_ERROR_OFFSET a
 * struct nbd_chunk_error_offset follows the message. */
struct nbd_chunk_error {
    uint32_t error;           /* never 0 */
    uint16_t message_len;
} NBD_PACKED;

struct nbd_chunk_error_offset {
    uint64_t offset;
} NBD_PACKED;

/* "Error values" */
#define NBD_SUCCESS 0U
#define NBD_EPERM 1U
#define NBD_EIO 5U
#define NBD_ENOMEM 12U
#define NBD_EINVAL 22U
#define NBD_ENOSPC 28U
#define NBD_EOVERFLOW 75U
#define NBD_ENOTSUP 95U
#define NBD_ESHUTDOWN 108U

#endif
