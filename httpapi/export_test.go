package httpapi

import (
	"maps"
	"slices"
)

// Endpoints returns the sorted names of the endpoints that the handler serves.
func (h *Handler) Endpoints() []string { return slices.Sorted(maps.Keys(h.endpoints)) }

// Statuses returns the statuses with which errors of the Service are answered.
func Statuses() []int {
	var all []int
	for _, a := range answers {
		all = append(all, a.status)
	}
	return all
}
