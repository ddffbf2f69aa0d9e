/* SPDX-License-Identifier: Apache-2.0 */
/* public_of PRIVATE_KEY_FILE: prints the public half; opens FILE.sshlog with it: public_of KEY SSHLOG prints
 * "source code time length" a record and the data to stdout's files DATA.0 and DATA.1 beside the recording.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/format/format.h"

static uint8_t *read_whole(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	long size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		return NULL;
	rewind(file);
	bytes = malloc((size_t)size + 1);
	*len = fread(bytes, 1, (size_t)size, file);
	fclose(file);
	return bytes;
}

int main(int argc, char **argv)
{
	uint8_t secret[FORMAT_KEY_SIZE], public[FORMAT_KEY_SIZE];
	struct format_header header;
	struct format_context context;
	size_t len, consumed;
	char text[45];
	uint8_t *key = argc > 1 ? read_whole(argv[1], &len) : NULL;

	if (key == NULL || format_key_decode((char *)key, len, secret) != 0)
		return 2;
	free(key);
	if (argc == 2) {
		crypto_scalarmult_base(public, secret);
		format_key_encode(public, text);
		printf("%s", text);
		return 0;
	}
	uint8_t *file = read_whole(argv[2], &len);
	if (file == NULL || format_header_decode(file, len, &header, &consumed) != 0 ||
	    format_open_setup(&context, secret, header.encapsulated) != 0)
		return 3;
	char path[4096];
	FILE *data[2];
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s.%d", argv[2], i);
		data[i] = fopen(path, "wb");
	}
	uint64_t last = 0;
	struct wire in = wire_over(file + consumed, len - consumed);
	while (wire_left(&in) > 0) {
		struct wire_span sealed = wire_bytes(&in, wire_u32(&in));
		uint8_t plain[FORMAT_BLOCK_MAX];
		struct format_record record;

		if (in.failed || sealed.len <= FORMAT_TAG_SIZE ||
		    format_open(&context, sealed.at, sealed.len, plain) != 0)
			return 4;
		struct wire records = wire_over(plain, sealed.len - FORMAT_TAG_SIZE);
		while (format_get_record(&records, &record)) {
			if (record.time_us < last)
				return 5;
			last = record.time_us;
			printf("%u %08x %llu %zu\n", record.source, record.code,
			    (unsigned long long)record.time_us, record.data.len);
			if (record.code < FORMAT_EVENT)
				fwrite(record.data.at, 1, record.data.len, data[record.source != 0]);
		}
		if (records.failed)
			return 6;
	}
	fclose(data[0]);
	fclose(data[1]);
	free(file);
	return 0;
}
