package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
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
		Tables  size `json:"tables"`
	} `json:"store"`
	Keystore struct {
		Tables size `json:"tables"`
	} `json:"keystore"`
	Trail struct {
		Events int64 `json:"events"`
	} `json:"trail"`
	keystoreBytes, trailBytes int64 // of their folders
}

// sizes asks the admin socket and looks at the folders.
func (s *server) sizes() (*sizes, error) {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, "admin.sock"))
	}}}
	defer c.CloseIdleConnections()
	resp, err := c.Post("http://admin/stats", "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var line struct {
			Result *sizes `json:"result"`
			Error  string `json:"error"`
		}
		if err := dec.Decode(&line); err != nil {
			return nil, err
		}
		if line.Error != "" {
			return nil, errors.New("asking for sizes: " + line.Error)
		}
		if line.Result == nil {
			continue
		}
		line.Result.keystoreBytes = folderSize(filepath.Join(s.data, "keystore"))
		line.Result.trailBytes = folderSize(filepath.Join(s.data, "trail"))
		return line.Result, nil
	}
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
