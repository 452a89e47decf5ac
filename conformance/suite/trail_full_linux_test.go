package suite

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A trail whose disk fills up while the server runs stops patient data at once,
// reads too, and nothing is lost; when there is room again it goes on by itself.
func TestTrailThatFillsUpStopsPatientDataUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	dir := demoData(t)
	const reserve, filler = 3 << 30, 6 << 30 // wide: others use this disk too
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	free := disk.Bavail * uint64(disk.Bsize)
	if free < 2*filler {
		t.Skip("the disk has too little room to play with")
	}
	s := startOn(t, dir, "--audit-min-free", fmt.Sprint(free-reserve))
	id := s.create(t, person(""))
	f, err := os.Create(filepath.Join(filepath.Dir(dir), "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, filler); err != nil {
		t.Skip("this file system cannot reserve room: ", err)
	}
	s.becomes(t, "/readyz", http.StatusServiceUnavailable)
	for _, a := range []*answer{s.do(t, clinician, "GET", "/Patient/"+id, nil), s.do(t, clinician, "GET", "/Patient/"+id+"/_history", nil),
		s.do(t, clinician, "GET", "/Patient?_id="+id, nil), s.do(t, integration, "POST", "/Patient", person("")),
		s.do(t, integration, "DELETE", "/Patient/"+id, nil), s.do(t, admin, "GET", "/Patient/"+id, nil)} {
		if a.outcome(503).header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", a.asked)
		}
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, "/readyz", http.StatusOK)
	s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	s.do(t, integration, "POST", "/Patient", person("")).want(201)
	s.stop(t)
	verify(t, dir)
}

// becomes waits until a path outside of the base has a status.
func (s *server) becomes(t *testing.T, path string, status int) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		r, err := s.client.Get(s.origin() + path)
		if err != nil {
			continue
		}
		r.Body.Close()
		if r.StatusCode == status {
			return
		}
	}
	t.Fatalf("%s did not become %d", path, status)
}
