package auth

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// readFile returns a regular file of at most most bytes. With O_NONBLOCK a FIFO at the path cannot block us.
func readFile(path string, most int64) ([]byte, error) {
	b, _, err := readFlags(path, most, 0)
	return b, err
}

func readFlags(path string, most int64, flags int) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("auth: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: the path may lead to another by now
	if err != nil {
		return nil, nil, fmt.Errorf("auth: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("auth: %s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, nil, fmt.Errorf("auth: %w", err)
	}
	if int64(len(b)) > most {
		return nil, nil, fmt.Errorf("auth: %s has more than %d bytes", path, most)
	}
	return b, info, nil
}
