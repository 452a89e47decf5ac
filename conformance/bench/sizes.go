package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
)

// size is bytes and number of a kind of record.
type size struct {
	Bytes int64 `json:"bytes"`
	Count int64 `json:"count"`
}

func (s size) each() float64 {
	if s.Count == 0 {
		return 0
	}
	return float64(s.Bytes) / float64(s.Count)
}

// sizes is what is stored, after compaction.
type sizes struct {
	Store struct {
		Current size `json:"current"`
		History size `json:"history"`
		Index   size `json:"index"`
		Feed    size `json:"feed"`
		// Parts of Index.
		Postings size `json:"postings"`
		Forward  size `json:"forward"`
		Tables   size `json:"tables"`
	} `json:"store"`
	Keystore struct {
		Tables size `json:"tables"`
	} `json:"keystore"`
	Trail struct {
		Events int64 `json:"events"`
	} `json:"trail"`
	KeystoreBytes int64 `json:"keystoreBytes"` // of their folders
	TrailBytes    int64 `json:"trailBytes"`
}

// admin asks the admin socket and decodes the result into out.
func (s *server) admin(path string, in, out any) error {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, "admin.sock"))
	}}}
	defer c.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	resp, err := c.Post("http://admin"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var line struct {
			Result json.RawMessage `json:"result"`
			Error  string          `json:"error"`
		}
		if err := dec.Decode(&line); err != nil {
			return err
		}
		if line.Error != "" {
			return errors.New("the admin socket: " + line.Error)
		}
		if line.Result != nil {
			return json.Unmarshal(line.Result, out)
		}
	}
}

// sizes asks the admin socket and looks at the folders.
func (s *server) sizes() (*sizes, error) {
	var out sizes
	if err := s.admin("/stats", struct{}{}, &out); err != nil {
		return nil, err
	}
	out.KeystoreBytes = folderSize(filepath.Join(s.data, "keystore"))
	out.TrailBytes = folderSize(filepath.Join(s.data, "trail"))
	return &out, nil
}

// folderSize adds up the files; what vanishes meanwhile counts nothing.
func folderSize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
