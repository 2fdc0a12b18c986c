/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NBD_OPT_INFO and NBD_OPT_GO: tell about an export; GO begins transmission.
 */
#include "handshake.h"

#include <string.h>

#include "common/byte-order.h"
#include "common/nbd-protocol.h"

/* What a client asks for. */
typedef struct InfoRequest {
    const uint8_t *name;
    uint32_t name_len;
    bool want_name, want_description, want_block_size;
} InfoRequest;

static bool parse(Handshake *hs, InfoRequest *req)
{
    OptionData data = option_data(hs);
    uint16_t n, type;

    /* There must be exactly as many information requests as are announced. */
    if (!option_get_string(&data, &req->name, &req->name_len) || !option_get_u16(&data, &n) ||
        data.left != n * sizeof(type)) {
        return false;
    }
    while (option_get_u16(&data, &type)) {
        req->want_name |= type == NBD_INFO_NAME;
        req->want_description |= type == NBD_INFO_DESCRIPTION;
        req->want_block_size |= type == NBD_INFO_BLOCK_SIZE;
    }
    return true;
}

static int coroutine_fn send_export(Handshake *hs, Export *export)
{
    struct nbd_info_export info;
    struct iovec iov = { &info, sizeof(info) };

    store_be16(&info.type, NBD_INFO_EXPORT);
    store_be64(&info.size, export->size);
    store_be16(&info.flags, handshake_flags(hs, export));
    return handshake_reply(hs, NBD_REP_INFO, &iov, 1);
}

static int coroutine_fn send_text(Handshake *hs, uint16_t type, char *text)
{
    uint16_t be_type;
    struct iovec iov[] = { { &be_type, sizeof(be_type) }, { text, strlen(text) } };

    store_be16(&be_type, type);
    return handshake_reply(hs, NBD_REP_INFO, iov, 2);
}

static int coroutine_fn send_block_size(Handshake *hs, const Export *export)
{
    struct nbd_info_block_size info;
    struct iovec iov = { &info, sizeof(info) };

    store_be16(&info.type, NBD_INFO_BLOCK_SIZE);
    store_be32(&info.minimum, export->min_block);
    store_be32(&info.preferred, export->pref_block);
    store_be32(&info.maximum, export->max_block);
    return handshake_reply(hs, NBD_REP_INFO, &iov, 1);
}

/* "Size constraints": other than the default ones must be told without being asked. */
static bool has_size_constraints(const Export *export)
{
    return export->min_block > 1 || export->max_block < NBD_DEFAULT_MAX_PAYLOAD;
}

static int coroutine_fn send_description(Handshake *hs, Export *export)
{
    ExportConfig *cfg = export_settings(export);
    int ret = cfg->description ? send_text(hs, NBD_INFO_DESCRIPTION, cfg->description) : 0;

    export_config_unref(cfg);
    return ret;
}

static int coroutine_fn send_infos(Handshake *hs, Export *export, const InfoRequest *req)
{
    int ret = send_export(hs, export);

    if (ret == 0 && req->want_name) {
        ret = send_text(hs, NBD_INFO_NAME, export->name);
    }
    if (ret == 0 && req->want_description) {
        ret = send_description(hs, export);
    }
    if (ret == 0 && (req->want_block_size || has_size_constraints(export))) {
        ret = send_block_size(hs, export);
    }
    return ret < 0 ? ret : handshake_ack(hs);
}

static int coroutine_fn tell_or_enter(Handshake *hs, Export *export, const InfoRequest *req,
                                      bool go)
{
    const char *reason;
    int ret;

    export_refresh_size(export);
    if (!export_has_medium(export)) {
        return handshake_error(hs, NBD_REP_ERR_UNKNOWN, "there is no medium in the export now");
    }
    if (go && !handshake_enter(hs, export, &reason)) {
        return handshake_error(hs, NBD_REP_ERR_POLICY, "%s", reason);
    }
    ret = send_infos(hs, export, req);
    if (ret < 0) {
        return ret;
    }
    return go ? HANDSHAKE_DONE : HANDSHAKE_NEXT;
}

static int coroutine_fn info_or_go(Handshake *hs, bool go)
{
    InfoRequest req = { .name = NULL };
    Export *export;
    int ret;

    if (!parse(hs, &req)) {
        return handshake_error(hs, NBD_REP_ERR_INVALID,
                               "the lengths in the option do not fit its data");
    }
    if (req.name_len > NBD_MAX_STRING) {
        return handshake_error(hs, NBD_REP_ERR_TOO_BIG, "export name longer than %d bytes",
                               NBD_MAX_STRING);
    }
    export = handshake_find_export(hs, req.name, req.name_len);
    if (!export) {
        return handshake_no_export(hs);
    }
    ret = tell_or_enter(hs, export, &req, go);
    export_unref(export);
    return ret;
}

int coroutine_fn handshake_info(Handshake *hs)
{
    return info_or_go(hs, false);
}

int coroutine_fn handshake_go(Handshake *hs)
{
    return info_or_go(hs, true);
}
