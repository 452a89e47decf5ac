package main

import (
	"os"
	"syscall"
)

// syncData is fdatasync, what logs use.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
