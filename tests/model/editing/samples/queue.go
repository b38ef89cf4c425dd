package queue

import (
	"errors"
	"sync"
)

// ErrEmpty says that nothing waits.
var ErrEmpty = errors.New("empty")

type Queue struct {
	mu    sync.Mutex
	items []string
}

func New(size int) *Queue {
	items := make([]string, 0, size)
	return &Queue{items: items}
}

func (q *Queue) Push(item string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, item)
}

func (q *Queue) Pop() (string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return "", ErrEmpty
	}
	item := q.items[0]
	q.items = q.items[1:]
	return item, nil
}

func Drain(q *Queue, each func(string)) int {
	count := 0
	for {
		item, err := q.Pop()
		if err != nil {
			return count
		}
		each(item)
		count++
	}
}
