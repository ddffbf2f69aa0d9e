/* SPDX-License-Identifier: Apache-2.0 */
/* user totp: gives a user a second factor. The secret comes from the keeper sealed to a key of this moment,
 * is shown once, and is nowhere else in clear. */
#include <qrencode.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/command.h"
#include "control/cli/socket.h"
#include "control/cli/table.h"

#define SECRET_SIZE 20
#define SECRET_TEXT 33 /* base32 of it (RFC 4648 section 6), with the NUL: no padding is needed */
#define QUIET 2        /* modules of white around the code; the standard has 4, readers do with less */

struct shown {
	char secret[SECRET_TEXT];
	char uri[512];
};

static void base32(const uint8_t bytes[SECRET_SIZE], char text[SECRET_TEXT])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	for (size_t i = 0; i < SECRET_TEXT - 1; i++) {
		size_t bit = i * 5;
		unsigned two =
		    (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < SECRET_SIZE ? bytes[bit / 8 + 1] : 0u);
		text[i] = digits[two >> (11 - bit % 8) & 31];
	}
	text[SECRET_TEXT - 1] = '\0';
}

/* The user's name, where a URI may have it (RFC 3986 section 2.1). */
static void percent(const char *name, char *out, size_t room)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@";
	size_t len = 0;

	for (; *name != '\0' && len + 4 < room; name++)
		if (strchr(plain, *name) != NULL)
			out[len++] = *name;
		else
			len += (size_t)snprintf(out + len, room - len, "%%%02X", (unsigned char)*name);
	out[len] = '\0';
}

/* Opens what the keeper sealed. False: it is not what was asked for. */
static bool take_secret(const char *sealed, const uint8_t *public_key, const uint8_t *secret_key,
    const char *name, struct shown *shown)
{
	uint8_t bytes[SECRET_SIZE + crypto_box_SEALBYTES], *secret = sodium_malloc(SECRET_SIZE);
	char label[256];
	size_t len = 0;
	bool good = secret != NULL && sealed != NULL &&
	            sodium_base642bin(bytes, sizeof(bytes), sealed, strlen(sealed), NULL, &len, NULL,
	                sodium_base64_VARIANT_ORIGINAL) == 0 &&
	            len == sizeof(bytes) &&
	            crypto_box_seal_open(secret, bytes, len, public_key, secret_key) == 0;

	if (good) {
		base32(secret, shown->secret);
		percent(name, label, sizeof(label));
		snprintf(shown->uri, sizeof(shown->uri),
		    "otpauth://totp/"
		    "Portreeve:%s?secret=%s&issuer=Portreeve&algorithm=SHA1&digits=6&period=30",
		    label, shown->secret);
	}
	sodium_free(secret);
	return good;
}

/* Two rows of modules a line, light on dark or dark on light: the colours are set. */
static void print_code(const char *uri)
{
	QRcode *code = QRcode_encodeString8bit(uri, 0, QR_ECLEVEL_L);

	if (code == NULL)
		return;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		fputs("\033[30;107m", stdout);
		for (int x = -QUIET; x < code->width + QUIET; x++) {
			bool inside = x >= 0 && x < code->width;
			bool upper =
			    inside && y >= 0 && y < code->width && (code->data[y * code->width + x] & 1) != 0;
			bool lower = inside && y + 1 >= 0 && y + 1 < code->width &&
			             (code->data[(y + 1) * code->width + x] & 1) != 0;
			fputs(upper ? (lower ? "█" : "▀") : (lower ? "▄" : " "), stdout);
		}
		puts("\033[0m");
	}
	sodium_memzero(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}

static void print_shown(const struct call *call, const struct shown *shown)
{
	if (call->json) {
		json_t *object = json_pack("{s:s, s:s, s:s}", "user", call->arguments[0], "secret",
		    shown->secret, "uri", shown->uri);
		print_json(object);
		json_decref(object);
		return;
	}
	print_code(shown->uri);
	printf("%s\n\n%s has a second factor from now on. Let the authenticator app read the code above, or "
	       "type\n"
	       "the secret %s into it. It is not shown again.\n",
	    shown->uri, call->arguments[0], shown->secret);
}

static int remove_factor(const struct call *call)
{
	json_t *result = control_ask(
	    call->socket_path, "user.totp_remove", json_pack("{s:s}", "name", call->arguments[0]));

	if (result == NULL)
		return EXIT_FAILED;
	if (call->json)
		print_json(result);
	else
		printf("%s has no second factor any more\n", call->arguments[0]);
	json_decref(result);
	return EXIT_OK;
}

static int run_totp(const struct call *call)
{
	uint8_t public_key[crypto_box_PUBLICKEYBYTES], *secret_key;
	char text[sodium_base64_ENCODED_LEN(crypto_box_PUBLICKEYBYTES, sodium_base64_VARIANT_ORIGINAL)];
	int status = EXIT_FAILED;

	if (call_option(call, "remove") != NULL)
		return remove_factor(call);
	if (sodium_init() < 0)
		return complain("libsodium cannot be used here");
	secret_key = sodium_malloc(crypto_box_SECRETKEYBYTES);
	struct shown *shown = sodium_malloc(sizeof(*shown));
	if (secret_key == NULL || shown == NULL) {
		sodium_free(secret_key);
		sodium_free(shown);
		return complain("not enough locked memory");
	}
	crypto_box_keypair(public_key, secret_key);
	sodium_bin2base64(text, sizeof(text), public_key, sizeof(public_key), sodium_base64_VARIANT_ORIGINAL);
	json_t *result = control_ask(call->socket_path, "user.totp",
	    json_pack("{s:s, s:s}", "name", call->arguments[0], "box_key", text));
	if (result != NULL && !take_secret(json_string_value(json_object_get(result, "sealed")), public_key,
	                          secret_key, call->arguments[0], shown)) {
		complain("the box answered without a secret; remove it (--remove) and try again");
	} else if (result != NULL) {
		print_shown(call, shown);
		status = EXIT_OK;
	}
	json_decref(result);
	sodium_free(secret_key);
	sodium_free(shown);
	return status;
}

const struct command totp_command = {.group = "user",
    .verb = "totp",
    .arguments = "NAME [--remove]",
    .argument_min = 1,
    .argument_max = 1,
    .summary = "give a user a second factor (TOTP)",
    .text = "Gives NAME a second factor by time (RFC 6238) for rules with `second_factor: totp`: shows a QR "
            "code\n"
            "for an authenticator app, its otpauth:// URI and the secret, once. The secret is the keeper's; "
            "a code\n"
            "is good once, and after five wrong ones within 15 minutes none is for as long.\n\n"
            "Example: reeve user totp alice",
    .options = {{"remove", 0, NULL, "take it away: lost, or to be given anew", false}},
    .run = run_totp};
