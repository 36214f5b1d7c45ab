# Sidekiq: jobs, one that fails, one for later and one in bulk, with a processor in this process.
# sidekiq_tour.rb PORT NAMESPACE ("" for none)
require "redis"
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
require "sidekiq"
require "sidekiq/api"
require "sidekiq/cli" # says that this is a server
require "sidekiq/launcher"

def check(what) = yield || abort("not so: #{what}")

port, namespace = ARGV
options = { url: "redis://127.0.0.1:#{port}/0" }
options[:namespace] = namespace unless namespace.empty?
Sidekiq.logger.level = Logger::FATAL
Sidekiq.configure_server { |config| config.redis = options }

DONE = Queue.new
class Job
  include Sidekiq::Worker
  sidekiq_options retry: 1, queue: "tour"
  def perform(n)
    DONE << n
    raise "no" if n == "bad"
  end
end

10.times { |n| Job.perform_async(n) }
Sidekiq::Client.push_bulk("class" => Job, "args" => (10...20).map { |n| [n] })
Job.perform_async("bad")
Job.perform_in(3600, "late")
check("queue") { Sidekiq::Queue.new("tour").size == 21 && Sidekiq::ScheduledSet.new.size == 1 }
settings = Sidekiq.options.merge(queues: %w[tour other], concurrency: 3, timeout: 5, environment: "tour")
Sidekiq.options.merge!(settings)
launcher = Sidekiq::Launcher.new(Sidekiq.options)
launcher.run
seen = Array.new(21) { DONE.pop }
check("all of them") { seen.reject { |n| n == "bad" }.sort == (0...20).to_a }
deadline = Time.now + 10
sleep 0.02 until (Sidekiq::RetrySet.new.size == 1 && Sidekiq::ProcessSet.new.size == 1) || Time.now > deadline
check("retries") { Sidekiq::RetrySet.new.size == 1 }
check("processes") { Sidekiq::ProcessSet.new.size == 1 }
launcher.stop
Sidekiq::Launcher.flush_stats
check("what is left") { Sidekiq::Queue.new("tour").size == 0 && Sidekiq::ScheduledSet.new.size == 1 }
check("numbers") { Sidekiq::Stats.new.processed == 21 && Sidekiq::Stats.new.failed == 1 }
puts "done"
