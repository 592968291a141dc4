. "$LIB/lib.sh"
debs ruby-activerecord ruby-activemodel ruby-activesupport ruby-concurrent ruby-i18n ruby-tzinfo ruby-zeitwerk ruby-minitest \
	ruby-pg ruby3.1 libruby3.1
usr="$WORK/root/usr"
machine=$(cd "$usr/lib" && ls -d ./*-linux-gnu)
gems="$usr/share/rubygems-integration"
RUBYLIB="$usr/lib/ruby/3.1.0:$usr/lib/$machine/ruby/3.1.0:$usr/lib/ruby/vendor_ruby:$usr/lib/$machine/ruby/vendor_ruby/3.1.0"
for lib in "$gems"/all/gems/*/lib "$gems"/all/gems/concurrent-ruby-1*/lib/concurrent-ruby; do RUBYLIB="$RUBYLIB:$lib"; done
export RUBYLIB LD_LIBRARY_PATH="$usr/lib/$machine" GEM_PATH="$gems/all:$gems/3.1.0"
exec "$usr/bin/ruby3.1" --disable=gems -rrubygems "$LIB/activerecord.rb"
