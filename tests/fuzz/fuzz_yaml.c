/* SPDX-License-Identifier: Apache-2.0 */
/* sources: control/settings/yaml.c control/settings/strict.c; deps: yaml-0.1 */
/* The strict YAML reader over a text that somebody pushed by the control socket. */
#include <stddef.h>
#include <stdint.h>

#include "control/settings/yaml.h"

static const char *const keys[] = {"default", "rules", "name", "match", NULL};

/* Every accessor over every node: whatever the tree looks like, none may read where it should not. */
static void walk(struct yaml_doc *doc, const struct yaml_node *node)
{
	char text[64];
	const char *t;
	uint64_t v;
	bool b;

	yaml_path(node, text, sizeof(text));
	yaml_shown(node, text, sizeof(text));
	doc->failed = false;
	yaml_map(doc, node, keys, NULL);
	doc->failed = false;
	yaml_text(doc, node, 32, &t);
	doc->failed = false;
	yaml_u64(doc, node, 0, 1000, &v);
	doc->failed = false;
	yaml_duration(doc, node, 0, 1000, &v);
	doc->failed = false;
	yaml_bool(doc, node, &b);
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next)
		walk(doc, child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct yaml_doc doc;

	if (yaml_parse(&doc, "fuzz", (const char *)data, size))
		walk(&doc, doc.root);
	yaml_doc_free(&doc);
	return 0;
}
