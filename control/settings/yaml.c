/* SPDX-License-Identifier: Apache-2.0 */
/* From text to tree: libyaml's events, bounded. */
#include "control/settings/yaml.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CHUNK_SIZE (64 * 1024)

struct yaml_chunk {
	struct yaml_chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

/* What is open while events arrive. */
struct builder {
	struct yaml_doc *doc;
	struct yaml_node *open[YAML_DEPTH_MAX];
	struct yaml_node *last[YAML_DEPTH_MAX]; /* last child of each */
	const char *key[YAML_DEPTH_MAX];        /* a map's key that waits for its value */
	uint32_t key_line[YAML_DEPTH_MAX], key_column[YAML_DEPTH_MAX];
	unsigned depth;
};

static void *chunk_take(struct yaml_doc *doc, size_t size)
{
	struct yaml_chunk *chunk = doc->chunks;

	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (chunk == NULL || size > chunk->size - chunk->used) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
		chunk = malloc(sizeof(*chunk) + room);
		if (chunk == NULL)
			return NULL;
		*chunk = (struct yaml_chunk){.next = doc->chunks, .size = room};
		doc->chunks = chunk;
	}
	void *at = chunk->bytes + chunk->used;
	chunk->used += size;
	return at;
}

static bool out_of_memory(struct yaml_doc *doc)
{
	return yaml_fail(doc, NULL, "not enough memory");
}

/* An error at a place of the text rather than at a node. */
static bool fail_at(struct yaml_doc *doc, size_t line, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool fail_at(struct yaml_doc *doc, size_t line, size_t column, const char *format, ...)
{
	char text[YAML_MESSAGE_MAX - YAML_NAME_MAX - 32];
	va_list args;

	if (doc->failed)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	doc->failed = true;
	doc->error_line = (uint32_t)line;
	doc->error_column = (uint32_t)column;
	snprintf(doc->error, sizeof(doc->error), "%s:%zu:%zu: %s", doc->name, line, column, text);
	return false;
}

static bool fail_mark(struct yaml_doc *doc, const yaml_mark_t *mark, const char *text)
{
	return fail_at(doc, mark->line + 1, mark->column + 1, "%s", text);
}

static struct yaml_node *node_new(struct yaml_doc *doc, enum yaml_kind kind, const yaml_mark_t *mark)
{
	if (++doc->nodes > YAML_NODES_MAX) {
		fail_mark(doc, mark, "too many items");
		return NULL;
	}
	struct yaml_node *node = chunk_take(doc, sizeof(*node));
	if (node == NULL) {
		out_of_memory(doc);
		return NULL;
	}
	*node = (struct yaml_node){
	    .kind = kind, .line = (uint32_t)mark->line + 1, .column = (uint32_t)mark->column + 1};
	return node;
}

/* A copy of a scalar's text, or NULL with the error set. */
static const char *text_copy(struct yaml_doc *doc, const yaml_event_t *event)
{
	size_t len = event->data.scalar.length;

	if (memchr(event->data.scalar.value, '\0', len) != NULL) {
		fail_mark(doc, &event->start_mark, "a NUL character in the text");
		return NULL;
	}
	char *text = chunk_take(doc, len + 1);
	if (text == NULL) {
		out_of_memory(doc);
		return NULL;
	}
	memcpy(text, event->data.scalar.value, len);
	text[len] = '\0';
	return text;
}

static bool key_duplicate(const struct yaml_node *map, const char *key)
{
	return yaml_get(map, key) != NULL;
}

/* In a map, every second node is a key: it must be a scalar, short, and new. */
static bool take_key(struct builder *b, const yaml_event_t *event)
{
	struct yaml_doc *doc = b->doc;
	unsigned top = b->depth - 1;
	struct yaml_node *map = b->open[top];

	if (event->type != YAML_SCALAR_EVENT)
		return fail_mark(
		    doc, &event->start_mark, "a key must be a plain word, not a list or mapping");
	if (map->count >= YAML_KEYS_MAX)
		return fail_mark(doc, &event->start_mark, "too many keys in one mapping");
	const char *key = text_copy(doc, event);
	if (key == NULL)
		return false;
	if (key_duplicate(map, key)) {
		struct yaml_node first = *yaml_get(map, key);
		return fail_at(doc, event->start_mark.line + 1, event->start_mark.column + 1,
		    "duplicate key '%.64s': it stands on line %u already", key, first.key_line);
	}
	b->key[top] = key;
	b->key_line[top] = (uint32_t)event->start_mark.line + 1;
	b->key_column[top] = (uint32_t)event->start_mark.column + 1;
	return true;
}

/* Hangs a finished scalar or a just opened collection below what is open. */
static void hang(struct builder *b, struct yaml_node *node)
{
	if (b->depth == 0) {
		b->doc->root = node;
		return;
	}
	unsigned top = b->depth - 1;
	struct yaml_node *parent = b->open[top];
	node->parent = parent;
	node->index = parent->count++;
	if (parent->kind == YAML_MAP) {
		node->key = b->key[top];
		node->key_line = b->key_line[top];
		node->key_column = b->key_column[top];
		b->key[top] = NULL;
	}
	if (b->last[top] == NULL)
		parent->first = node;
	else
		b->last[top]->next = node;
	b->last[top] = node;
}

static bool take_scalar(struct builder *b, const yaml_event_t *event)
{
	struct yaml_node *node = node_new(b->doc, YAML_SCALAR, &event->start_mark);

	if (node == NULL)
		return false;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = text_copy(b->doc, event);
	node->len = event->data.scalar.length;
	if (node->text == NULL)
		return false;
	hang(b, node);
	return true;
}

static bool open_collection(struct builder *b, const yaml_event_t *event, enum yaml_kind kind)
{
	if (b->depth == YAML_DEPTH_MAX)
		return fail_mark(b->doc, &event->start_mark, "nested too deeply");
	struct yaml_node *node = node_new(b->doc, kind, &event->start_mark);
	if (node == NULL)
		return false;
	hang(b, node);
	b->open[b->depth] = node;
	b->last[b->depth] = NULL;
	b->key[b->depth] = NULL;
	b->depth++;
	return true;
}

static bool decorated(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
	default:
		return event->type == YAML_ALIAS_EVENT;
	}
}

static bool take_event(struct builder *b, const yaml_event_t *event)
{
	bool end = event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;

	if (event->type == YAML_DOCUMENT_START_EVENT && b->doc->root != NULL)
		return fail_mark(b->doc, &event->start_mark, "a second document: one file, one document");
	if (event->type == YAML_STREAM_START_EVENT || event->type == YAML_STREAM_END_EVENT ||
	    event->type == YAML_DOCUMENT_START_EVENT || event->type == YAML_DOCUMENT_END_EVENT)
		return true;
	if (decorated(event))
		return fail_mark(b->doc, &event->start_mark,
		    "anchors (&), aliases (*) and tags (!) are not accepted here; quote the text if it "
		    "begins so");
	if (!end && b->depth > 0 && b->open[b->depth - 1]->kind == YAML_MAP && b->key[b->depth - 1] == NULL)
		return take_key(b, event);
	if (end) {
		assert(b->depth > 0); /* libyaml gives no end without its beginning */
		b->depth--;
		return true;
	}
	if (event->type == YAML_SCALAR_EVENT)
		return take_scalar(b, event);
	return open_collection(b, event, event->type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST);
}

static bool parser_error(struct yaml_doc *doc, const yaml_parser_t *parser)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return out_of_memory(doc);
	if (parser->error == YAML_READER_ERROR)
		return yaml_fail(doc, NULL, "byte %zu: %s (the file must be UTF-8)", parser->problem_offset,
		    parser->problem);
	return fail_at(doc, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
	    "not YAML: %s%s%s%s",
	    /* What libyaml finds when somebody indents by a tab. */
	    strstr(parser->problem, "cannot start any token") != NULL
	        ? "(is there a tab? YAML is indented by spaces) "
	        : "",
	    parser->problem, parser->context != NULL ? ", " : "",
	    parser->context != NULL ? parser->context : "");
}

static bool read_events(struct yaml_doc *doc, yaml_parser_t *parser)
{
	struct builder builder = {.doc = doc};
	bool more = true;

	while (more) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event))
			return parser_error(doc, parser);
		more = event.type != YAML_STREAM_END_EVENT;
		bool good = take_event(&builder, &event);
		yaml_event_delete(&event);
		if (!good)
			return false;
	}
	if (doc->root == NULL)
		return yaml_fail(doc, NULL, "there is nothing in it");
	return true;
}

bool yaml_parse(struct yaml_doc *doc, const char *name, const char *text, size_t len)
{
	yaml_parser_t parser;

	*doc = (struct yaml_doc){0};
	snprintf(doc->name, sizeof(doc->name), "%s", name);
	for (char *c = doc->name; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (len > YAML_TEXT_MAX)
		return yaml_fail(doc, NULL, "%zu bytes are too many: at most %u", len, YAML_TEXT_MAX);
	if (!yaml_parser_initialize(&parser))
		return out_of_memory(doc);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	bool good = read_events(doc, &parser);
	yaml_parser_delete(&parser);
	if (!good)
		doc->root = NULL;
	return good;
}

bool yaml_parse_file(struct yaml_doc *doc, const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file == NULL ? NULL : malloc(YAML_TEXT_MAX + 1);
	int error = file == NULL ? errno : text == NULL ? ENOMEM : 0;
	size_t len = error != 0 ? 0 : fread(text, 1, YAML_TEXT_MAX + 1, file);
	if (error == 0 && ferror(file))
		error = errno; /* of the read, e.g. "Is a directory" */
	bool good = false;

	if (error == 0) {
		good = yaml_parse(doc, path, text, len);
	} else {
		*doc = (struct yaml_doc){0};
		snprintf(doc->name, sizeof(doc->name), "%s", path);
		yaml_fail(doc, NULL, "cannot read it: %s", strerror(error));
	}
	free(text);
	if (file != NULL)
		fclose(file);
	return good;
}

void yaml_doc_free(struct yaml_doc *doc)
{
	while (doc->chunks != NULL) {
		struct yaml_chunk *next = doc->chunks->next;
		free(doc->chunks);
		doc->chunks = next;
	}
	doc->root = NULL;
}
