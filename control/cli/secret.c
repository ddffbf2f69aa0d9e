/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "control/cli/command.h"
#include "control/cli/openssh_key.h"
#include "control/cli/socket.h"

/* In libssh's archive, which has it from OpenBSD. */
int bcrypt_pbkdf(const char *pass, size_t pass_len, const uint8_t *salt, size_t salt_len, uint8_t *key,
    size_t key_len, unsigned int rounds);

void secret_free(struct secret *secret)
{
	sodium_free(secret->at);
	*secret = (struct secret){0};
}

/* -- lines -- */

/* Reads to the end of the line, byte by byte: nothing of it stays in a buffer of stdio's. */
static bool read_line(int fd, struct secret *line)
{
	char c = 0;
	ssize_t got;

	line->len = 0;
	line->at = sodium_malloc(SECRET_LINE_MAX);
	if (line->at == NULL)
		return false;
	while ((got = read(fd, &c, 1)) == 1 && c != '\n' && line->len < SECRET_LINE_MAX)
		line->at[line->len++] = (uint8_t)c;
	bool whole = got == 0 || (got == 1 && c == '\n');
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	sodium_memzero(&c, 1);
	return whole && line->len > 0;
}

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define ENDS (sizeof(ends) / sizeof(ends[0]))
/* The terminal that is asked at, and what it was like: for the handler. */
static struct termios usual;
static int terminal;

/* Puts the echo back; the signal, which is the default's again (SA_RESETHAND), then ends us as it would have.
 */
static void end_at_prompt(int signal)
{
	(void)tcsetattr(terminal, TCSAFLUSH, &usual);
	(void)raise(signal);
}

static void catch_ends(struct sigaction former[ENDS])
{
	const struct sigaction ending = {.sa_handler = end_at_prompt, .sa_flags = (int)SA_RESETHAND};

	for (size_t i = 0; i < ENDS; i++)
		if (sigaction(ends[i], NULL, &former[i]) == 0 && former[i].sa_handler != SIG_IGN)
			(void)sigaction(ends[i], &ending, NULL);
}

static void release_ends(const struct sigaction former[ENDS])
{
	for (size_t i = 0; i < ENDS; i++)
		(void)sigaction(ends[i], &former[i], NULL);
}

bool secret_ask(const char *prompt, struct secret *line)
{
	struct sigaction former[ENDS];
	struct termios quiet;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &usual) != 0) {
		if (fd >= 0)
			close(fd);
		complain("there is no terminal to ask at (a password can come by --password-stdin)");
		return false;
	}
	quiet = usual;
	terminal = fd;
	catch_ends(former);
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	bool good = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
	dprintf(fd, "%s", prompt);
	good = good && read_line(fd, line);
	(void)tcsetattr(fd, TCSAFLUSH, &usual);
	release_ends(former);
	dprintf(fd, "\n");
	close(fd);
	if (!good) {
		secret_free(line);
		complain("nothing was typed, or more than %u characters", SECRET_LINE_MAX);
	}
	return good;
}

bool secret_from_stdin(struct secret *line)
{
	if (read_line(STDIN_FILENO, line))
		return true;
	secret_free(line);
	complain("standard input has no first line of 1 to %u bytes", SECRET_LINE_MAX);
	return false;
}

/* -- key files -- */

static const EVP_CIPHER *cipher_of(const char *name)
{
	return strcmp(name, "aes256-ctr") == 0   ? EVP_aes_256_ctr()
	       : strcmp(name, "aes256-cbc") == 0 ? EVP_aes_256_cbc()
	       : strcmp(name, "aes128-ctr") == 0 ? EVP_aes_128_ctr()
	                                         : NULL;
}

/* Decrypts into `plain` (as long as the private part). False: it cannot be, with this passphrase. */
static bool decrypt(const struct openssh_key *key, const struct secret *passphrase, uint8_t *plain)
{
	const EVP_CIPHER *cipher = cipher_of(key->cipher);
	size_t key_len = (size_t)EVP_CIPHER_get_key_length(cipher), iv_len = 16;
	uint8_t *derived = sodium_malloc(key_len + iv_len);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int len = 0, last = 0;

	bool good =
	    derived != NULL && context != NULL &&
	    bcrypt_pbkdf((const char *)passphrase->at, passphrase->len, key->salt.at, key->salt.len, derived,
	        key_len + iv_len, key->rounds) == 0 &&
	    EVP_DecryptInit_ex(context, cipher, NULL, derived, derived + key_len) == 1 &&
	    EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
	    EVP_DecryptUpdate(context, plain, &len, key->private_part.at, (int)key->private_part.len) == 1 &&
	    EVP_DecryptFinal_ex(context, plain + len, &last) == 1 &&
	    (size_t)len + (size_t)last == key->private_part.len;
	EVP_CIPHER_CTX_free(context);
	sodium_free(derived);
	return good;
}

/* The private part in the clear, in libsodium's memory. False after a message. */
static bool open_private_part(const char *path, const struct openssh_key *key, struct secret *plain)
{
	struct secret passphrase = {0};
	char prompt[512];
	bool good;

	*plain = (struct secret){sodium_malloc(key->private_part.len + 1), key->private_part.len};
	if (plain->at == NULL)
		return complain("not enough memory that can be locked"), false;
	if (strcmp(key->cipher, "none") == 0) {
		memcpy(plain->at, key->private_part.at, key->private_part.len);
		return true;
	}
	if (cipher_of(key->cipher) == NULL)
		return complain("%s is encrypted with %s; rewrite it with: ssh-keygen -p -Z aes256-ctr -f %s",
		           path, key->cipher, path),
		       false;
	snprintf(prompt, sizeof(prompt), "Passphrase of %.400s: ", path);
	if (!secret_ask(prompt, &passphrase))
		return false;
	good = decrypt(key, &passphrase, plain->at);
	secret_free(&passphrase);
	return good ? true : (complain("%s could not be decrypted", path), false);
}

static bool take_fields(const char *path, const struct openssh_key *key, struct secret *fields)
{
	struct secret plain = {0};
	bool good = open_private_part(path, key, &plain);

	if (good) {
		struct wire_span found = openssh_key_fields((struct wire_span){plain.at, plain.len});
		*fields = (struct secret){sodium_malloc(found.len + 1), found.len};
		good = found.len > 0 && fields->at != NULL;
		if (good)
			memcpy(fields->at, found.at, found.len);
		else
			complain(
			    "%s: the passphrase is wrong, or the key is damaged, or of a type that cannot be "
			    "used (expected ed25519, ecdsa or rsa)",
			    path);
	}
	secret_free(&plain);
	return good;
}

/* The file's bytes in libsodium's memory. False after a message. */
static bool read_file(const char *path, struct secret *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	*text = (struct secret){sodium_malloc(OPENSSH_KEY_FILE_MAX), 0};
	if (fd >= 0 && text->at != NULL)
		while ((got = read(fd, text->at + text->len, OPENSSH_KEY_FILE_MAX - text->len)) > 0)
			text->len += (size_t)got;
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || got < 0)
		complain("cannot read the private key %s: %s", path, strerror(error));
	else if (text->len == OPENSSH_KEY_FILE_MAX)
		complain("%s is too long to be a private key", path);
	else
		return true;
	secret_free(text);
	return false;
}

bool secret_from_key_file(const char *path, struct secret *fields)
{
	struct secret text = {0};
	struct openssh_key key;
	bool good = false;

	*fields = (struct secret){0};
	if (!read_file(path, &text))
		return false;
	uint8_t *room = sodium_malloc(text.len + 1);
	const char *wrong = room == NULL ? "does not fit into memory that can be locked"
	                                 : openssh_key_open((const char *)text.at, text.len, room, &key);
	if (wrong != NULL)
		complain("%s %s", path, wrong);
	else
		good = take_fields(path, &key, fields);
	sodium_free(room);
	secret_free(&text);
	if (!good)
		secret_free(fields);
	return good;
}

/* -- sealing -- */

json_t *secret_seal(const char *socket_path, const struct wire_out *plain)
{
	uint8_t public_key[crypto_box_PUBLICKEYBYTES];
	size_t len = 0, sealed_len = wire_written(plain) + crypto_box_SEALBYTES;
	json_t *answer = control_ask(socket_path, "seal.key", NULL), *text = NULL;
	const char *key = json_string_value(json_object_get(answer, "public_key"));

	if (answer == NULL)
		return NULL;
	uint8_t *sealed = malloc(sealed_len);
	size_t room = sodium_base64_encoded_len(sealed_len, sodium_base64_VARIANT_ORIGINAL);
	char *base64 = malloc(room);
	if (key == NULL || sealed == NULL || base64 == NULL || plain->failed ||
	    sodium_base642bin(public_key, sizeof(public_key), key, strlen(key), NULL, &len, NULL,
	        sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len != sizeof(public_key) ||
	    crypto_box_seal(sealed, plain->start, wire_written(plain), public_key) != 0)
		complain("it could not be sealed to the keeper's key");
	else
		text = json_string(
		    sodium_bin2base64(base64, room, sealed, sealed_len, sodium_base64_VARIANT_ORIGINAL));
	free(sealed);
	free(base64);
	json_decref(answer);
	return text;
}
