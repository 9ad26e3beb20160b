package main

import (
	"net/http/httptest"
	"testing"
)

func TestAnswerNamesInstanceMachineAndContainer(t *testing.T) {
	env := map[string]string{"INSTANCE": "1", "MACHINE": "m2"}
	h := handler(func(k string) string { return env[k] }, func() (string, error) { return "3f2a", nil })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got, want := w.Body.String(), "hello from instance 1 on machine m2, container 3f2a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
