# Loaded by fluentd (-r) before in_tail reads its position files, and put right what a killed fluentd left in them.
# in_tail knows a file by its inode alone. While no fluentd holds them open, inodes of deleted files go to new ones,
# whose beginning in_tail would skip. And it notes a line as read while the event is not yet complete.

HOLD = 900 # seconds: in_tail opens a file when it has read all before it, 160 MiB at most
LONGEST = 1 << 16 # bytes of an event
UNWATCHED = 0xffff_ffff_ffff_ffff # what in_tail notes for a file that is gone

# nil where the file system does not tell.
def born(file)
  file.birthtime
rescue NotImplementedError, SystemCallError
  nil
end

# The place where the last event before `position` starts; `position` itself when there is none.
def event_start(file, position, start)
  from = [position - LONGEST, 0].max
  at = position > file.size ? nil : file.pread(position - from, from).rindex(start)
  at ? from + at : position
rescue EOFError
  position
end

# Keep those entries of a position file that are of the files they were made for. `start` matches an event's first line.
# Whatever goes wrong here, fluentd starts.
def settle(position_file, paths, start)
  return unless File.exist?(position_file)

  files = Dir.glob(paths).select { |path| File.file?(path) }.filter_map { |path| File.open(path, "rb") rescue nil }
  by_inode = files.to_h { |file| [file.stat.ino, file] }
  left = File.mtime(position_file)
  entries = File.readlines(position_file, chomp: true, mode: "rb").filter_map do |line|
    path, position, inode = line.split("\t")
    file = by_inode[inode.to_s.hex]
    next if file.nil? || position.hex == UNWATCHED || born(file)&.>(left)

    format("%s\t%016x\t%016x\n", path, event_start(file, position.hex, start), inode.hex)
  end
  File.binwrite("#{position_file}.new", entries.join)
  File.rename("#{position_file}.new", position_file)
  # Held open, they keep their inodes until in_tail has them.
  Thread.new do
    sleep HOLD
    files.each(&:close)
  end
rescue StandardError => e
  warn "positions.rb: #{position_file}: #{e.message}: left as it is"
end
