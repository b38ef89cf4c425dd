#include <stdlib.h>
#include <string.h>

#define GROW 2

typedef struct node {
    int value;
    struct node *next;
} node_t;

static node_t *make_node(int value, node_t *next)
{
    node_t *node = malloc(sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->value = value;
    node->next = next;
    return node;
}

int list_sum(const node_t *list) {
    int sum = 0;
    for (; list != NULL; list = list->next) {
        sum += list->value;
    }
    return sum;
}

void list_free(node_t *list,
               void (*release)(int value))
{
    while (list) {
        node_t *next = list->next;
#ifdef TRACE
        trace(list->value);
#endif
        release(list->value);
        free(list);
        list = next;
    }
}

int main(int argc, char **argv) {
    node_t *list = make_node(argc, NULL);
    int sum = list_sum(list);
    return sum == argc ? 0 : 1;
}
